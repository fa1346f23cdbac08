// Before the first race: what each chosen lane will do, drawn as the work of its first steps.
import { el } from "../base/dom.js";
import { paragraphs } from "../base/explain/paragraphs.js";
import { docProse, prose } from "../base/explain/prose.js";
import { declared } from "./picture/declared_steps.js";
import { drawKey, drawRows, kindsOf } from "./picture/rows.js";

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
 * The body of a lane that has not run yet. `dtype` is the number format of the model, if one is known.
 * @param {Partial<core.StrategyInfo> & { reason?: string }} strategy one that is not known has no more than a name
 * @param {Record<string, string>} values
 * @param {string} [dtype]
 */
export const previewBody = (strategy, values, dtype) => {
  const drawing = declared(strategy, values, dtype);
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
