// The stage: reads what Gradio appended to the value, keeps the race, and lets the parts draw themselves.
import { emit, on } from "../base/bus.js";
import { onTheme } from "../base/colors.js";
import { el, mount, write } from "../base/dom.js";
import { format } from "../base/format.js";
import { given } from "../base/given.js";
import { readSpecs, specName, withSampling } from "../base/lane_spec.js";
import { prose } from "../base/prose.js";
import { modelStatus } from "../base/status.js";
import { describeStrategies } from "../base/strategy_card.js";
import { definitions } from "../base/terms.js";
import { lanesOf } from "../form/lane_picker.js";
import { reasonsFor } from "../form/reasons.js";
import { nextFrame } from "../shell/idle.js";
import { Beams } from "./beams/figure.js";
import { RaceChart } from "./chart.js";
import { Introduction } from "./introduction.js";
import { HEAT_LEVELS, heatLimit, LaneCard } from "./lane_card.js";
import { markedStep, unmark } from "./marked.js";
import { LanePicture } from "./picture/lane_picture.js";
import { Predict } from "./predict/predict.js";
import { previewBody } from "./preview.js";
import { tokenCard } from "./token_card.js";
import { VerdictStrip } from "./verdict_strip.js";
import { Race } from "./wire.js";

/**
 * The strategies on offer, the samplers, and the lanes at first.
 * @typedef {core.StrategyInfo & OfferedStrategy} ListedStrategy
 * @typedef {{ strategies: ListedStrategy[], samplers: OfferedSampler[], lanes: string }} StageFacts
 */

class Stage {
  /**
   * @param {HTMLElement} element
   * @param {StageFacts} facts
   * @param {(tokens: number) => void} useTokens
   */
  constructor(element, facts, useTokens) {
    this.facts = facts;
    describeStrategies(facts.strategies);
    /** @type {Race | null} */
    this.race = null;
    /** The frame that is asked for. @type {number | null} */
    this.frame = null;
    this.sheet = 0;
    this.read = 0;
    this.opening = "";
    /** @type {LaneCard[]} */
    this.cards = [];
    /** @type {LanePicture[]} */
    this.pictures = [];
    this.scale = Infinity;
    this.strip = new VerdictStrip(useTokens);
    this.lanes = el("div", { class: "kv-lanes" });
    this.chart = new RaceChart(definitions);
    this.predict = new Predict(this.chart);
    this.limits = [el("span", {}, "fastest"), el("span", {}, "slowest")];
    this.legend = this.#legend();
    this.beams = new Beams();
    this.introduction = new Introduction(facts.strategies, facts.lanes);
    this.root = el("div", { class: "kv-stage" }, this.strip.element, this.introduction.element, this.lanes, this.legend, this.chart.element, this.beams.element);
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

  /** The lanes as they will run, before any has. */
  preview(text = this.previewed) {
    this.previewed = text;
    if (this.race?.lanes.length) return;
    const known = new Map(withSampling(this.facts.strategies, this.facts.samplers).map((strategy) => [strategy.id, strategy]));
    const reasons = reasonsFor("race");
    this.dtype = modelStatus()?.model?.dtype;
    const picked = readSpecs(text).map(({ id, values }) => {
      const strategy = known.get(id) ?? { id, name: id, summary: "", options: {} };
      return { ...strategy, name: specName(strategy, values), reason: reasons[id], values };
    });
    this.#lay(picked.map((strategy) => ({ ...strategy, strategy: strategy.id })));
    this.introduction.besides(text === this.facts.lanes);
    this.cards.forEach((card, i) => {
      card.element.dataset.status = "idle";
      card.text.replaceChildren(previewBody(picked[i], picked[i].values, this.dtype));
      card.text.tabIndex = -1;
    });
    this.chart.name(picked);
    this.predict.name(picked.map(({ name }) => name));
  }

  /** @param {(import("./lane_card.js").Introduction & { strategy: string })[]} infos */
  #lay(infos) {
    const declared = new Map(this.facts.strategies.map(({ id, picture }) => [id, picture]));
    this.pictures = infos.map((info, index) => new LanePicture(info, index, declared.get(info.strategy)));
    this.cards = infos.map((info, index) => new LaneCard(info, index, definitions, this.pictures[index].element));
    this.lanes.replaceChildren(...this.cards.map((card) => card.element));
    this.lanes.dataset.count = String(infos.length);
  }

  /** Takes in the sheets: what was not read already, or all of it if a new race began.
   * @param {string[]} sheets */
  take(sheets) {
    const opening = sheets.length ? sheets[0].slice(0, sheets[0].indexOf("\n") + 1) : "";
    if (!opening) return;
    if (opening !== this.opening || !(sheets[this.sheet]?.length >= this.read)) {
      Object.assign(this, { opening, sheet: 0, read: opening.length });
      this.race = new Race(opening.slice(2, -1));
    }
    const { race } = this;
    if (!race) return;
    const began = race.lanes.length;
    this.#read(race, sheets[this.sheet]);
    while (this.sheet < sheets.length - 1) {
      this.sheet += 1;
      this.read = 0;
      this.#read(race, sheets[this.sheet]);
    }
    if (!began && race.lanes.length) this.#begin(race);
    this.#schedule();
  }

  /** The lines of a sheet that have come since it was read last.
   * @type {(race: Race, text: string) => void} */
  #read(race, text) {
    const end = text.lastIndexOf("\n") + 1;
    for (const line of text.slice(this.read, end).split("\n")) if (line) race.feed(line);
    this.read = Math.max(this.read, end);
  }

  /** @param {Race} race */
  #begin(race) {
    tokenCard().hide();
    unmark();
    this.scale = Infinity;
    this.#lay(race.lanes);
    this.introduction.besides(false);
    this.predict.name(race.lanes.map(({ name }) => name));
    emit("model", race.start.model);
  }

  /** One drawing a frame, however many values arrived; a hidden tab draws when it comes back. */
  #schedule() {
    if (this.frame) return;
    this.frame = nextFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  draw() {
    const { race } = this;
    if (!race) return;
    this.root.dataset.phase = race.phase;
    this.root.toggleAttribute("data-stale", race.phase === "refused" && !race.lanes.length && this.cards.some((card) => card.lane));
    this.strip.update(race);
    if (!race.lanes.length) return;
    this.#rescale(race);
    for (const [i, card] of this.cards.entries()) card.update(race, race.lanes[i], this.scale);
    for (const lane of race.lanes) if (lane.divergence) this.cards[0].mark(lane.divergence.index);
    for (const card of this.cards) card.scroll();
    for (const [i, picture] of this.pictures.entries()) picture.update(race, race.lanes[i]);
    this.chart.show(race);
    if (race.phase === "finished") this.predict.finish(race);
    this.beams.show(race);
  }

  /** Shows the marked step in texts, pictures and chart. */
  point() {
    const marked = markedStep();
    for (const part of [...this.cards, ...this.pictures, this.chart]) part.point(marked);
  }

  /** Follows the fastest step. A gain of under a twelfth would change no colour, and is not worth repainting.
   * @param {Race} race */
  #rescale({ fastest }) {
    if (!(fastest < this.scale / 1.08)) return;
    this.scale = fastest;
    for (const card of this.cards) if (card.lane) card.recolor(fastest);
    write(this.limits[0], format.seconds(fastest));
    write(this.limits[1], `${format.seconds(heatLimit(fastest, HEAT_LEVELS - 1))} or more`);
  }

  /** The event is over. A race that did not say so itself was cut off. */
  settle() {
    if (!this.race?.running) return;
    this.race.interrupted = true;
    if (!this.race.lanes.length) this.strip.idle();
    else this.draw();
  }

  /** @param {Status} status */
  model(status) {
    if (status.model?.dtype !== this.dtype) this.preview();
    if (!this.race || this.race.phase === "notice") this.strip.model(status);
    if (this.race?.phase === "notice") this.draw();
  }
}

/** @type {Stage | null} */
let stage = null;

/** Called once by Gradio when the element is on the page.
 * @type {DrawElement<string[] | null, StageFacts>} */
export const drawStage = (element, props, watch, useTokens, facts) => {
  const shown = new Stage(element, facts, (tokens) => {
    given.tokens = tokens;
    useTokens();
  });
  stage = shown;
  watch("value", () => shown.take(props.value ?? []));
  shown.take(props.value ?? []);
  const status = modelStatus();
  if (status) shown.model(status);
};
on("marked", () => stage?.point());
onTheme(() => {
  for (const picture of stage?.pictures ?? []) picture.recolor();
});
document.addEventListener("keydown", (event) => event.key === "Escape" && unmark());
on("lanes", ({ tab, text }) => tab === "race" && stage?.preview(text));
on("reasons", () => stage?.preview());
on("status", (status) => stage?.model(status));
on("settled", (tab) => tab === "race" && stage?.settle());
on("submitted", (tab) => {
  if (tab !== "race" || !stage) return;
  stage.strip.work("Waiting for the server", null);
  stage.introduction.fold();
  stage.predict.start();
});
