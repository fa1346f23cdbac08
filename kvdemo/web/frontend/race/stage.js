// The stage before a race: the lanes that will run. What a race needs (view.js) is fetched when the page can be used.
import { on } from "../base/bus.js";
import { onTheme } from "../base/colors.js";
import { el, mount } from "../base/dom.js";
import { given } from "../base/event_data.js";
import { readSpecs, specName, withSampling } from "../base/lane_spec.js";
import { late } from "../base/lazy_scripts.js";
import { withOffers } from "../base/lane_offers.js";
import { prose } from "../base/explain/prose.js";
import { modelStatus } from "../base/status.js";
import { describeStrategies } from "../base/explain/strategy_card.js";
import { keepRace } from "../form/keeper.js";
import { lanesOf } from "../form/lane_picker.js";
import { reasonsFor } from "../form/reasons.js";
import { HEAT_LEVELS } from "./lanes/heat.js";
import { Introduction } from "./introduction.js";
import { PreviewCard } from "./preview.js";
import { RaceStrip } from "./strip.js";

/** @typedef {import("./view.js").RaceView} RaceView */
/** @typedef {import("./lanes/lane_card.js").LaneCard} LaneCard */
/** What a page says whose server was started again, where the race that it showed was too long to be kept, or the browser kept nothing. */
const GONE = "The server was started again, and the race that was shown here could not be kept. The form is as it was: race again.";
/** What is on offer, and the lanes at first. @typedef {import("../base/lane_offers.js").Offers & { lanes: string }} StageFacts */

export class Stage {
  /** What draws the race, once it was fetched. @type {RaceView | null} */
  view = null;
  /** @type {Promise<RaceView | null> | null} */
  fetched = null;
  /** The lanes that are previewed, and their cards. @type {{ name: string }[]} */
  picked = [];
  /** @type {PreviewCard[]} */
  cards = [];

  /**
   * @param {HTMLElement} element
   * @param {StageFacts} facts
   * @param {(tokens: number) => void} useTokens
   */
  constructor(element, facts, useTokens) {
    this.facts = facts;
    this.useTokens = useTokens;
    describeStrategies(facts.strategies);
    this.strip = new RaceStrip();
    this.lanes = el("div", { class: "kv-lanes" });
    this.limits = [el("span", {}, "fastest"), el("span", {}, "slowest")];
    this.introduction = new Introduction(facts.strategies, facts.lanes);
    /** Where the chart will be, so that nothing moves when it comes. */
    this.room = el("div", { class: "kv-chartroom" });
    this.root = el("div", { class: "kv-stage" }, this.strip.element, this.introduction.element, this.lanes, this.#legend(), this.room);
    mount(element, this.root);
    this.previewed = lanesOf.race ?? facts.lanes;
    this.preview();
  }

  #legend() {
    const swatches = Array.from({ length: HEAT_LEVELS }, (_, level) => el("i", { "data-heat": level }));
    return el("div", { class: "kv-legend" },
      el("p", {}, ...prose("A token’s colour is its latency. Point at one, tap it or use the arrow keys to see what its step read.", new Set(["key"]))),
      el("div", { class: "kv-scale" }, this.limits[0], ...swatches, this.limits[1]));
  }

  /** The lanes as they will run, before any has. A lane of which nothing new is said keeps its card: somebody may be reading it. */
  preview(text = this.previewed) {
    const chosen = text !== this.previewed;
    this.previewed = text;
    if (this.view?.race?.lanes.length) return;
    // While a race is prepared, and when it was refused, the lanes of the one before stay, unless others are chosen.
    if (this.view?.cards.length && !chosen) return;
    const known = new Map(withSampling(this.facts.strategies, this.facts.samplers).map((strategy) => [strategy.id, strategy]));
    const reasons = reasonsFor("race");
    this.dtype = modelStatus()?.model?.dtype;
    const picked = readSpecs(text).map(({ id, values }) => {
      const strategy = known.get(id) ?? { id, name: id, summary: "", options: {} };
      return { ...strategy, name: specName(strategy, values), reason: reasons[id], values };
    });
    const cards = picked.map((strategy, index) => {
      const card = this.cards[index]?.isOf(strategy) ? this.cards[index] : new PreviewCard(strategy, index);
      card.show(strategy, this.dtype);
      return card;
    });
    this.introduction.besides(text === this.facts.lanes);
    const { children } = this.lanes; // a race may have put others there
    if (children.length === cards.length && cards.every(({ element }, place) => element === children[place])) return;
    this.cards = cards;
    this.picked = picked;
    this.lay(cards);
    this.view?.await(picked);
  }

  /** Puts the cards on the stage. One that is there already is not touched: it would lose the focus.
   * @param {LaneCard[]} cards */
  lay(cards) {
    cards.forEach(({ element }, place) => {
      const there = this.lanes.children[place];
      if (!there) this.lanes.append(element);
      else if (there !== element) there.replaceWith(element);
    });
    while (this.lanes.children.length > cards.length) this.lanes.lastElementChild?.remove();
    this.lanes.dataset.count = String(cards.length);
  }

  /** The view of the race, or null if its scripts do not come; what is asked of it while it is fetched is done in the
   * order in which it was asked. */
  fetch() {
    this.fetched ??= this.#fetch();
    return this.fetched;
  }

  async #fetch() {
    const offered = await late(async () => await import("./view.js"));
    if (offered) this.view = new offered.RaceView(this);
    else this.fetched = null;
    return this.view;
  }

  /** @param {string[]} sheets */
  async take(sheets) { if (sheets.length) (await this.fetch())?.take(sheets); }

  /** Shows the finished race that the page had before it was loaded again, or says that it is gone, unless another has begun.
   * @param {string[] | null} sheets */
  async restore(sheets) {
    const view = await this.fetch();
    if (view?.race && view.race.phase !== "notice") return;
    if (sheets) this.introduction.fold();
    view?.take(sheets ?? [`R before\n`, `N ${GONE}\n`], true);
  }

  /** The sheets of the race that is shown, if it is over. */
  get finished() { return this.view?.race?.phase === "finished" ? this.view.sheets : null; }

  /** Race was pressed. */
  async start() {
    this.strip.work("Waiting for the server", null);
    this.introduction.fold();
    (await this.fetch())?.predict.start();
  }

  /** The event is over. */
  async settle() {
    const view = await this.fetch();
    if (view) view.settle();
    else this.strip.idle();
  }

  /** @param {Status} status */
  model(status) {
    if (status.model?.dtype !== this.dtype) this.preview();
    if (!this.view?.race || this.view.race.phase === "notice") this.strip.model(status);
    if (this.view?.race?.phase === "notice") this.view.draw();
    // Only a status that comes after the form was filled has `run`: Race can be pressed.
    if (status.run !== undefined) this.fetch();
  }
}

/** @type {Stage | null} */
let stage = null;

/** Called once by Gradio when the element is on the page.
 * @type {DrawElement<string[] | null, { lanes: string }>} */
export const drawStage = (element, props, watch, useTokens, { lanes }) => withOffers((offers) => {
  const shown = new Stage(element, { ...offers, lanes }, (tokens) => {
    given.tokens = tokens;
    useTokens();
  });
  stage = shown;
  watch("value", () => shown.take(props.value ?? []));
  shown.take(props.value ?? []);
  const status = modelStatus();
  if (status) shown.model(status);
});
on("marked", () => stage?.view?.point());
onTheme(() => stage?.view?.recolor());
keepRace(() => stage?.finished ?? null);
on("returned", (sheets) => stage?.restore(sheets));
on("lanes", ({ tab, text }) => tab === "race" && stage?.preview(text));
on("reasons", () => stage?.preview());
on("status", (status) => stage?.model(status));
on("settled", (tab) => tab === "race" && stage?.settle());
on("submitted", (tab) => tab === "race" && stage?.start());
