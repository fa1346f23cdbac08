// "What is a KV cache?" in three sentences and a picture: open on the first visit, folded to a line later.
import { el, present } from "../base/dom.js";
import { readSpecs } from "../base/lane_spec.js";
import { recall, remember } from "../base/remembered.js";
import { prose } from "../base/explain/prose.js";
import { declared } from "./picture/declared_steps.js";
import { drawKey, drawRows, kindsOf } from "./picture/rows.js";

const QUESTION = "What is a KV cache?";
const SENTENCES = [
  "A language model writes one token at a time, and each new one depends on all tokens before it.",
  "In every layer, attention compares the new token’s query with the keys of the earlier positions and adds up their values; these "
    + "keys and values never change, because no position sees what comes after it.",
  "A KV cache keeps them: a step then computes one position and reads the others, where a loop without one computes all of them again.",
];
const SEEN = "introduction";
/** Rows of each picture: as many as show that one grows and the other does not. */
const ROWS = 4;

/** A strategy's first steps, small; null where it declares no picture.
 * @type {(strategy: core.StrategyInfo, index: number) => HTMLElement | null} */
const picture = (strategy, index) => {
  const drawing = declared(strategy, {});
  if (!drawing?.rows.length) return null;
  const rows = drawing.rows.slice(0, ROWS);
  return el("figure", { style: `--lane: var(--kv-lane-${index})` }, el("figcaption", {}, strategy.name), drawRows(rows, "prompt"), drawKey(kindsOf(rows)));
};

export class Introduction {
  /**
   * @param {core.StrategyInfo[]} strategies
   * @param {string} lanes the lanes that a race has unless others are chosen; their pictures are shown
   */
  constructor(strategies, lanes) {
    const known = new Map(strategies.map((strategy) => [strategy.id, strategy]));
    const drawn = present(readSpecs(lanes).map(({ id }) => known.get(id)));
    this.pictures = () => present(drawn.map(picture));
    this.toggle = el("button", { type: "button", class: "kv-question", "aria-controls": "kv-introduction", onclick: () => this.#show(this.body.hidden) }, QUESTION);
    this.shut = el("button", { type: "button", class: "kv-close", "aria-label": "Fold the explanation", title: "Fold", onclick: () => this.fold() }, "×");
    this.body = el("div", { id: "kv-introduction", class: "kv-introbody" });
    this.element = el("section", { class: "kv-introduction", "aria-label": QUESTION }, this.toggle, this.shut, this.body);
    this.#show(recall(SEEN) === null);
    remember(SEEN, "1");
  }

  /** @param {boolean} open */
  #show(open) {
    if (open && !this.body.childElementCount) {
      this.body.append(el("p", { class: "kv-introtext" }, ...prose(SENTENCES.join(" "))), el("div", { class: "kv-intropictures" }, ...this.pictures()));
    }
    this.body.hidden = this.shut.hidden = !open;
    this.toggle.setAttribute("aria-expanded", String(open));
  }

  /** Whether the lanes show the same pictures below, so that a wide window need not have them twice.
   * @param {boolean} shown */
  besides(shown) { this.element.toggleAttribute("data-besides", shown); }

  fold() { this.#show(false); }
}
