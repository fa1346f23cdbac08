// The lanes of a form: a row for each, with its settings, and a menu to add one. The value is a text of specs (base/lane_spec.js).
import { emit, on } from "../base/bus.js";
import { laneColor } from "../base/colors.js";
import { el, find, mount, showFloating, within, write } from "../base/dom.js";
import { readSpecs, specName, withSampling, writeSpecs } from "../base/lane_spec.js";
import { takeOffers, withOffers } from "../base/lane_offers.js";
import { tellsOf } from "../base/explain/strategy_card.js";
import { explain } from "../base/explain/tooltip.js";
import { drawChoosing } from "./choosing.js";
import { bounds, drawSetting } from "./lane_setting.js";
import { reasonsFor } from "./reasons.js";

/**
 * What a form's lanes may be: the strategies on offer, the samplers, and how many lanes at most.
 * @typedef {{ strategies: OfferedStrategy[], samplers: OfferedSampler[], most: number, tab: string }} Offer
 */

class LanePicker {
  /**
   * @param {HTMLElement} element
   * @param {Offer} offer
   * @param {(text: string) => void} changed
   */
  constructor(element, { strategies, samplers, most, tab }, changed) {
    this.strategies = withSampling(strategies, samplers);
    this.samplers = samplers;
    this.most = most;
    this.tab = tab;
    this.changed = changed;
    /** @type {PickedLane[]} */
    this.lanes = [];
    /** @type {string | null} */
    this.text = null;
    /** The menu, while it is open. @type {HTMLElement | null} */
    this.menu = null;
    /** Its items, a strategy each. @type {HTMLElement[]} */
    this.items = [];
    /** @type {Map<string, OfferedStrategy>} */
    this.known = new Map(this.strategies.map((strategy) => [strategy.id, strategy]));
    this.rows = el("ol", { class: "kv-picks" });
    this.add = el("button", { type: "button", class: "kv-addlane", "aria-haspopup": "menu", "aria-expanded": "false",
      onclick: () => (this.menu ? this.close() : this.open()) }, "Add a lane");
    this.add.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" || this.menu) return;
      event.preventDefault();
      this.open();
    });
    this.speech = el("div", { class: "kv-hidden", "aria-live": "polite" });
    mount(element, el("div", { class: "kv-lanepicker", role: "group", "aria-label": "Lanes" },
      el("header", {}, el("b", {}, "Lanes"), el("span", {}, "the first is the baseline"), this.add), this.rows, this.speech));
    document.addEventListener("pointerdown", (event) => this.menu && !within(event, this.menu) && !within(event, this.add) && this.close());
    addEventListener("scroll", (event) => this.menu && !within(event, this.menu) && this.close(), true);
    addEventListener("resize", () => this.close());
    on("reasons", () => {
      this.#warn();
      this.#judge();
    });
  }

  /** Takes in a value that somebody else has written: a link, a preset.
   * @param {string} text */
  take(text) {
    if (text === this.text) return;
    this.text = text;
    this.lanes = readSpecs(text);
    this.#draw();
  }

  #write() {
    this.text = writeSpecs(this.lanes, this.known);
    this.changed(this.text);
  }

  /** The strategy of a lane; one that is not known has its id as a name.
   * @type {(lane: PickedLane) => OfferedStrategy} */
  #strategy({ id }) { return this.known.get(id) ?? { id, name: id, summary: "", options: {}, samples: false }; }
  /** @param {PickedLane} lane */
  #name(lane) { return specName(this.#strategy(lane), lane.values); }

  #draw() {
    this.rows.replaceChildren(...this.lanes.map((lane, index) => this.#row(lane, index)));
    this.add.disabled = this.lanes.length >= this.most;
    this.add.title = this.add.disabled ? `${this.most} lanes are the most` : "";
    this.#warn();
  }

  /** @type {(lane: PickedLane, index: number) => HTMLElement} */
  #row(lane, index) {
    const strategy = this.#strategy(lane);
    /** @type {(label: string, mark: string, act: () => void) => HTMLElement} */
    const small = (label, mark, act) => el("button", { type: "button", class: "kv-small", "aria-label": `${label} ${this.#name(lane)}`, title: label, onclick: act }, mark);
    const settings = Object.entries(strategy.options).flatMap(([name, option]) => this.#setting(lane, name, option));
    const heading = el("b", {}, tellsOf(explain(el("button", { type: "button", class: "kv-strategy" }, strategy.name), { text: `${strategy.summary} Press for how it works.` }), strategy));
    return el("li", { style: `--lane: var(${laneColor(index)})`, "data-strategy": lane.id },
      el("div", {}, el("i", { class: "kv-swatch", "aria-hidden": "true" }), heading,
        index ? small("Move up", "↑", () => this.#up(index)) : null, small("Remove", "×", () => this.#remove(index))),
      settings.length ? el("div", { class: "kv-settinglist" }, ...settings) : null,
      strategy.samples ? drawChoosing(lane, this.samplers, { of: strategy.name, changed: () => this.#write() }) : null,
      el("p", { class: "kv-unfit", hidden: true }));
  }

  /** A setting's name, which explains it, and its control.
   * @type {(lane: PickedLane, name: string, option: StrategyOption) => HTMLElement} */
  #setting(lane, name, option) {
    const usual = String(option.default);
    const about = `${option.about} ${bounds(option, usual)}`;
    const control = drawSetting(lane, name, option, { of: this.#strategy(lane).name, about, usual, changed: () => this.#write() });
    return el("label", {}, explain(el("span", { class: "kv-term", tabindex: 0, role: "note" }, option.label), { title: option.label, text: about }), control);
  }

  /** @param {number} index */
  #up(index) {
    this.lanes.splice(index - 1, 0, ...this.lanes.splice(index, 1));
    this.#draw();
    this.#write();
    find(this.rows.children[index - 1], ".kv-small")?.focus();
    write(this.speech, `${this.#name(this.lanes[index - 1])} is lane ${index}${index === 1 ? ", the baseline" : ""}.`);
  }

  /** @param {number} index */
  #remove(index) {
    const [gone] = this.lanes.splice(index, 1);
    this.#draw();
    this.#write();
    const next = this.rows.children[Math.min(index, this.lanes.length - 1)];
    ((next && find(next, ".kv-small:last-of-type")) ?? this.add).focus();
    write(this.speech, `${this.#name(gone)} is removed.`);
  }

  /** @param {string} id */
  #append(id) {
    /** @type {PickedLane} */
    const lane = { id, values: {} };
    this.lanes.push(lane);
    this.close();
    this.#draw();
    this.#write();
    write(this.speech, `${this.#name(lane)} is lane ${this.lanes.length}.`);
    const row = this.rows.children[this.lanes.length - 1];
    (find(row, ".kv-setting") ?? (this.add.disabled ? find(row, ".kv-small:last-of-type") : this.add))?.focus();
  }

  /** Under a lane that the loaded model cannot run, the reason. */
  #warn() {
    const reasons = reasonsFor(this.tab);
    [...this.rows.children].forEach((row, i) => {
      const line = find(row, ".kv-unfit");
      const reason = reasons[this.lanes[i].id];
      if (!line) return;
      line.hidden = !reason;
      write(line, reason ? `Not here: ${reason}` : "");
    });
  }

  open() {
    const items = this.strategies.map(({ id, name }) => el("button", { type: "button", class: "kv-menuitem", role: "menuitem", tabindex: -1,
      onclick: () => !reasonsFor(this.tab)[id] && this.#append(id) }, el("b", {}, name), el("span")));
    this.items = items;
    this.#judge();
    this.menu = el("div", { class: "kv-menu", role: "menu", "aria-label": "Add a lane", onkeydown: (event) => this.#walk(event, items) }, ...items);
    showFloating(this.menu);
    this.#place(this.menu);
    this.add.setAttribute("aria-expanded", "true");
    items[0]?.focus();
  }

  /** In the open menu, what a strategy does, or why it cannot: the model may come while somebody is looking. */
  #judge() {
    const reasons = reasonsFor(this.tab);
    this.items.forEach((item, i) => {
      const { id, summary } = this.strategies[i];
      if (reasons[id]) item.setAttribute("aria-disabled", "true");
      else item.removeAttribute("aria-disabled");
      write(item.children[1], reasons[id] ? `Not here: ${reasons[id]}` : summary);
    });
  }

  /** Below the button where there is room, else above it; never wider or higher than the window.
   * @param {HTMLElement} menu */
  #place(menu) {
    const { left } = this.rows.getBoundingClientRect();
    const { top, bottom } = this.add.getBoundingClientRect();
    const below = innerHeight - bottom - 16;
    const under = below >= Math.min(menu.offsetHeight, 320) || below >= top;
    menu.style.maxHeight = `${Math.max(under ? below : top - 16, 120)}px`;
    menu.style.left = `${Math.max(8, Math.min(left, innerWidth - menu.offsetWidth - 8))}px`;
    menu.style.top = `${under ? bottom + 6 : Math.max(8, top - menu.offsetHeight - 6)}px`;
  }

  /** @type {(event: KeyboardEvent, items: HTMLElement[]) => void} */
  #walk(event, items) {
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const letter = event.key.length === 1 && event.key !== " " ? event.key.toLowerCase() : null;
    const typed = letter ? items.findIndex((item, i) => i > at && item.textContent.toLowerCase().startsWith(letter)) : -1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key] ?? (typed < 0 ? undefined : typed);
    if (event.key === "Escape" || event.key === "Tab") {
      this.close();
      this.add.focus();
    }
    if (event.key === "Escape") event.stopPropagation();
    if (to === undefined) return;
    event.preventDefault();
    items.at(to % items.length)?.focus();
  }

  close() {
    this.menu?.remove();
    this.menu = null;
    this.add.setAttribute("aria-expanded", "false");
  }
}

/** The lanes that each tab's form holds. @type {Record<string, string>} */
export const lanesOf = {};

/** @type {DrawElement<string | null, Offer>} */
const draw = (element, props, watch, input, facts) => {
  /** @param {string} text */
  const tell = (text) => {
    lanesOf[facts.tab] = text;
    emit("lanes", { tab: facts.tab, text });
  };
  const picker = new LanePicker(element, facts, (text) => {
    props.value = text;
    tell(text);
    input();
  });
  const take = () => {
    picker.take(props.value ?? "");
    tell(props.value ?? "");
  };
  watch("value", take);
  take();
};

/** The race's picker has what is on offer (`offers`), for all others too.
 * @type {DrawElement<string | null, { tab: string, most: number, offers?: import("../base/lane_offers.js").Offers }>} */
export const drawLanePicker = (element, props, watch, input, { offers, ...form }) => {
  if (offers) takeOffers(offers);
  withOffers((known) => draw(element, props, watch, input, { ...form, ...known }));
};
