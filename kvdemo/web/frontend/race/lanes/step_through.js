// From a lane to its steps: the button that opens Inside on the race's text and the tokens that the lane wrote.
import { emit } from "../../base/bus.js";
import { el } from "../../base/dom.js";

/** Inside scrubs through no more tokens than this (MOST_SHOWN_TOKENS in kvdemo/core/settings/inside.py). */
const MOST = 1024;

/**
 * Null before the race is over, and for a lane that another machine decoded, whose tokens are not this model's.
 * @param {import("../wire.js").Race} race
 * @param {import("./lane.js").Lane} lane
 * @returns {HTMLElement | null}
 */
export const stepThrough = (race, lane) => {
  const reader = race.verdict?.reader;
  if (!reader || !lane.count || lane.elsewhere) return null;
  const continuation = lane.tokens.slice(0, MOST).map(({ id }) => id);
  return el("button", { type: "button", class: "kv-onward", "aria-label": `Step through the tokens of ${lane.name}`,
    onclick: () => emit("why", { panel: "steps", reader, continuation, lane: lane.name }) }, "Step through this");
};
