// Before the first race: what each chosen lane will do, drawn as the work of its first steps.
import { el } from "../base/dom.js";
import { paragraphs } from "../base/explain/paragraphs.js";
import { docProse, prose } from "../base/explain/prose.js";
import { definitions } from "../base/explain/terms.js";
import { LaneCard } from "./lanes/lane_card.js";
import { declared } from "./picture/declared_steps.js";
import { drawKey, drawRows, kindsOf } from "./picture/rows.js";

/** A lane as it is chosen: its settings, and why the model cannot run it. A strategy that is not known has no more than a name.
 * @typedef {Partial<core.StrategyInfo> & { id: string, name: string, summary: string, reason?: string, values: Record<string, string> }} Previewed */

/**
 * The picture of the first steps, with what it says in words.
 * @param {import("./picture/declared_steps.js").Declared} drawing
 * @param {Set<string>} known the words that were explained
 */
const figure = ({ rows, said, sum }, known) => el("figure", {},
  rows.length ? drawRows(rows, "prompt") : null,
  rows.length ? drawKey(kindsOf(rows)) : null,
  el("figcaption", {}, ...prose(said, known), sum ? el("small", {}, sum) : null));

/**
 * The body of a lane that has not run yet.
 * @param {Previewed} strategy
 * @param {import("./picture/declared_steps.js").Declared | null} drawing
 */
const body = (strategy, drawing) => {
  const unavailable = strategy.reason ? el("p", { class: "kv-note kv-failed" }, `It cannot run on this model: ${strategy.reason}`) : null;
  const opening = paragraphs(strategy.description)[0] ?? [];
  const known = new Set();
  return el(
    "div", { class: "kv-preview" },
    unavailable,
    drawing ? figure(drawing, known) : null,
    opening.length && opening[0].text !== strategy.summary ? el("p", { class: "kv-words" }, ...docProse(opening, known)) : null,
  );
};

/** The card of a lane that has not run yet. */
export class PreviewCard extends LaneCard {
  /** What its body was drawn from. */
  drawn = "";

  /**
   * @param {Previewed} strategy
   * @param {number} index
   */
  constructor(strategy, index) {
    super({ ...strategy, strategy: strategy.id }, index, definitions);
    this.id = strategy.id;
    this.name = strategy.name;
    this.element.dataset.status = "idle";
    this.text.tabIndex = -1;
  }

  /** Whether this is the card of a lane, whatever its body says.
   * @param {Previewed} strategy */
  isOf({ id, name }) { return id === this.id && name === this.name; }

  /** Draws the body, unless it would say the same again. `dtype` is the number format of the model, if one is known.
   * @param {Previewed} strategy
   * @param {string} [dtype] */
  show(strategy, dtype) {
    const drawing = declared(strategy, strategy.values, dtype);
    const from = JSON.stringify([drawing, strategy.reason]);
    if (from === this.drawn) return;
    this.drawn = from;
    this.text.replaceChildren(body(strategy, drawing));
  }
}
