// The buttons that open a strategy's whole explanation, its docstring, in a card.
import { late } from "../lazy_scripts.js";

/** @typedef {{ id: string, name: string, summary: string, description?: string }} Described */

/** @type {Map<string, Described>} */
const known = new Map();
/** Takes in the strategies with their docstrings, which the page holds once.
 * @param {Described[]} strategies */
export const describeStrategies = (strategies) => { for (const strategy of strategies) known.set(strategy.id, strategy); };

/**
 * Makes a button open what is to be said of a strategy, and close it again.
 * @template {HTMLElement} Target
 * @param {Target} button
 * @param {Described} strategy
 */
export const tellsOf = (button, strategy) => {
  button.setAttribute("aria-haspopup", "dialog");
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", async () => {
    const card = await late(async () => await import("./doc_card.js"));
    card?.toggleCard(button, { ...strategy, ...known.get(strategy.id), name: strategy.name });
  });
  return button;
};
