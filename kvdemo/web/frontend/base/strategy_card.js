// A strategy's whole explanation, its docstring, in a card beside the button that was pressed.
import { el, showFloating, within } from "./dom.js";
import { paragraphs } from "./paragraphs.js";
import { prose } from "./prose.js";
import { place } from "./tooltip.js";

/** @typedef {{ id: string, name: string, summary: string, description?: string }} Described */

/** @type {Map<string, Described>} */
const known = new Map();
/** Takes in the strategies with their docstrings, which the page holds once.
 * @param {Described[]} strategies */
export const describeStrategies = (strategies) => { for (const strategy of strategies) known.set(strategy.id, strategy); };

/** @type {HTMLElement | null} */
let card = null;
/** @type {HTMLElement | null} */
let opener = null;

const close = ({ back = false } = {}) => {
  card?.remove();
  opener?.setAttribute("aria-expanded", "false");
  if (back) opener?.focus();
  card = opener = null;
};

/** @type {(pieces: import("./paragraphs.js").Piece[], seen: Set<string>) => HTMLElement} */
const paragraph = (pieces, seen) => el("p", {},
  ...pieces.flatMap(({ text, kind }) => (kind === "text" ? prose(text, seen) : [el(kind, {}, text)])));

/** @type {(button: HTMLElement, strategy: Described) => void} */
const open = (button, { name, summary, description }) => {
  close();
  const seen = new Set();
  const said = paragraphs(description);
  const shut = el("button", { type: "button", class: "kv-close", "aria-label": "Close", onclick: () => close({ back: true }) }, "×");
  card = el("div", { class: "kv-doccard", role: "dialog", "aria-label": `How ${name} works` },
    el("header", {}, el("strong", {}, name), shut),
    el("div", { class: "kv-docbody", tabindex: 0 }, ...(said.length ? said : paragraphs(summary)).map((pieces) => paragraph(pieces, seen))));
  opener = button;
  button.setAttribute("aria-expanded", "true");
  showFloating(card);
  place(card, button);
  shut.focus();
};

/**
 * Makes a button open what is to be said of a strategy, and close it again.
 * @template {HTMLElement} Target
 * @param {Target} button
 * @param {Described} strategy
 */
export const tellsOf = (button, strategy) => {
  button.setAttribute("aria-haspopup", "dialog");
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => {
    if (opener === button) close({ back: true });
    else open(button, { ...strategy, ...known.get(strategy.id), name: strategy.name });
  });
  return button;
};

document.addEventListener("keydown", (event) => event.key === "Escape" && card && close({ back: true }));
document.addEventListener("pointerdown", (event) => card && !within(event, card) && !within(event, opener) && close());
