// The step under the pointer or the keyboard: one for the whole stage, told to text, chart and picture at once.
import { emit } from "../base/bus.js";

/** @type {Marked | null} */
let marked = null;

/** The step that is marked, as the lane and the token that were pointed at; null where none is. */
export const markedStep = () => marked;

/** Marks the step of a token. @type {(lane: number, token: number) => void} */
export const mark = (lane, token) => {
  if (marked?.lane === lane && marked.token === token) return;
  marked = { lane, token };
  emit("marked", marked);
};

export const unmark = () => {
  if (!marked) return;
  marked = null;
  emit("marked", null);
};
document.addEventListener("keydown", (event) => event.key === "Escape" && unmark());
