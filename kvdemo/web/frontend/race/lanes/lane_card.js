// A lane's card before it runs: its name, the names of its numbers, and room for its text. running_lane.js fills it.
import { laneColor } from "../../base/colors.js";
import { el } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { tellsOf } from "../../base/explain/strategy_card.js";
import { term } from "../../base/explain/terms.js";
import { explain } from "../../base/explain/tooltip.js";

/** @typedef {{ strategy: string, name: string, summary: string, searches?: boolean }} Introduction what a card says of a lane before it runs */

const METRICS = ["ttft", "tpot", "rate", "positions", "cache"];
/** A search has no first token to wait for, and its tokens do not follow one by one. */
const SEARCH_METRICS = ["total", "level", "rate", "positions", "cache"];

/**
 * A lane's name and the rules that it is given, which stand behind a dot in it: they would not fit beside it.
 * @param {string} name
 * @returns {[string, string]}
 */
const parted = (name) => {
  const at = name.indexOf(" · ");
  return at < 0 ? [name, ""] : [name.slice(0, at), name.slice(at + 3)];
};

export class LaneCard {
  /** The numbers' elements, by the name of the metric. @type {Record<string, HTMLElement>} */
  values = {};

  /**
   * @param {Introduction} info
   * @param {number} index
   * @param {Definitions} definitions
   * @param {HTMLElement[]} under what stands under its text
   */
  constructor(info, index, definitions, ...under) {
    this.index = index;
    this.metrics = info.searches ? SEARCH_METRICS : METRICS;
    this.status = el("span", { class: "kv-status" });
    this.lead = el("span", { class: "kv-lead" });
    this.times = el("span");
    this.speedup = index === 0 ? null
      : explain(el("button", { type: "button", class: "kv-badge kv-speedup", hidden: true }, this.times, el("span", { class: "kv-roomy" }, " as fast")),
        { title: definitions.speedup.long, text: definitions.speedup.text });
    const badge = this.speedup ?? el("span", { class: "kv-badge" }, "baseline");
    const about = tellsOf(el("button", { type: "button", class: "kv-about", "aria-label": `How ${info.name} works`, title: "How it works" }, "?"),
      { ...info, id: info.strategy });
    const [strategy, rules] = parted(info.name);
    this.filled = el("i");
    this.bar = el("div", { class: "kv-progress", role: "progressbar", "aria-label": `${info.name}: tokens`, "aria-valuemin": 0 }, this.filled);
    this.text = el("div", { class: "kv-text", tabindex: "0", role: "group",
      "aria-label": `Tokens of ${info.name}. Arrow keys inspect them.` });
    this.note = el("p", { class: "kv-note", hidden: true });
    this.element = el(
      "article", { class: "kv-lane", "aria-label": info.name, style: `--lane: var(${laneColor(index)})` },
      el("div", { class: "kv-lane-in" },
        el("header", {}, el("i", { class: "kv-swatch", "aria-hidden": "true" }), el("h3", { title: info.name }, strategy, rules ? el("span", { class: "kv-hidden" }, ` · ${rules}`) : null), about, badge, this.status),
        el("p", { class: "kv-summary", title: info.summary }, rules ? el("b", {}, rules) : null, info.summary),
        el("dl", { class: "kv-metrics" }, ...this.metrics.map((name) => this.#metric(name, definitions[name]))),
        this.bar, this.text, ...under, this.note));
  }

  /** @type {(name: string, definition: Definition) => HTMLElement} */
  #metric(name, definition) {
    this.values[name] = el("dd", {}, format.none);
    return el("div", { "data-metric": name }, el("dt", {}, term(definition)), this.values[name]);
  }
}
