// The card that holds a strategy's whole explanation, beside the button that was pressed: fetched when one is.
import { el, showFloating, within } from "../dom.js";
import { paragraphs } from "./paragraphs.js";
import { docProse } from "./prose.js";
import { place } from "./tooltip.js";

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

/** @type {(button: HTMLElement, strategy: import("./strategy_card.js").Described) => void} */
const open = (button, { name, summary, description }) => {
  close();
  const seen = new Set();
  const said = paragraphs(description);
  const shut = el("button", { type: "button", class: "kv-close", "aria-label": "Close", onclick: () => close({ back: true }) }, "×");
  card = el("div", { class: "kv-doccard", role: "dialog", "aria-label": `How ${name} works` },
    el("header", {}, el("strong", {}, name), shut),
    el("div", { class: "kv-docbody", tabindex: 0 }, ...(said.length ? said : paragraphs(summary)).map((pieces) => el("p", {}, ...docProse(pieces, seen)))));
  opener = button;
  button.setAttribute("aria-expanded", "true");
  showFloating(card);
  place(card, button);
  shut.focus();
};

/** Opens the card of a button; closes it if it is open.
 * @type {(button: HTMLElement, strategy: import("./strategy_card.js").Described) => void} */
export const toggleCard = (button, strategy) => {
  if (opener === button) close({ back: true });
  else open(button, strategy);
};

document.addEventListener("keydown", (event) => event.key === "Escape" && card && close({ back: true }));
document.addEventListener("pointerdown", (event) => card && !within(event, card) && !within(event, opener) && close());
