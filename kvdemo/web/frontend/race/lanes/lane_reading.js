// How a lane's text reads, folded under it: how likely the model finds it, and how much of it repeats. The lanes open
// and close together, because the figures are there to be compared.
import { el, write } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { term } from "../../base/explain/terms.js";
import { FIGURES } from "./text_figures.js";

/** @typedef {import("./text_figures.js").TextFigures} TextFigures */

/** @param {number | null} part */
const share = (part) => (part === 0 ? "0 %" : format.percent(part));
/** @param {number | null} value */
const signed = (value) => (value === null ? format.none : value.toFixed(2).replace("-", "−"));

/** @type {Record<typeof FIGURES[number], (figure: number | null) => string>} */
const WRITTEN = { mean_logprob: signed, perplexity: format.rate, distinct_2: share, repeated_4gram: share };

/** All that are on the stage, and whether they are open. @type {Set<HTMLDetailsElement>} */
const shown = new Set();
let open = false;

/** @param {HTMLDetailsElement} toggled */
const together = (toggled) => {
  if (toggled.open === open) return;
  open = toggled.open;
  for (const one of shown) {
    if (one.isConnected) one.open = open;
    else shown.delete(one);
  }
};

export class LaneReading {
  /** @param {Definitions} definitions */
  constructor(definitions) {
    this.values = FIGURES.map(() => el("dd", {}, format.none));
    this.brief = [el("span"), el("span", { class: "kv-roomy" })];
    /** @type {HTMLDetailsElement} */
    this.element = el("details", { class: "kv-reading", open, hidden: true },
      el("summary", {}, "How the text reads", ...this.brief),
      el("dl", { class: "kv-metrics" }, ...FIGURES.map((name, i) => el("div", { "data-metric": name }, el("dt", {}, term(definitions[name])), this.values[i]))));
    this.element.addEventListener("toggle", () => together(this.element));
    shown.add(this.element);
  }

  /** @param {TextFigures} text */
  update(text) {
    FIGURES.forEach((name, i) => { write(this.values[i], WRITTEN[name](text[name])); });
    this.element.hidden = FIGURES.every((name) => text[name] === null);
    write(this.brief[0], text.perplexity === null ? "" : `perplexity ${format.rate(text.perplexity)}`);
    write(this.brief[1], text.repeated_4gram === null ? "" : `repeated ${share(text.repeated_4gram)}`);
  }
}
