// One small card that any element can show to explain itself, on hover, focus or tap.
import { el, showFloating, within } from "../dom.js";

/** `clear` is an element that the card does not cover where the window has room at its side.
 * @typedef {{ title?: string, text: string, also?: string, clear?: HTMLElement }} Explanation */

/** @type {HTMLElement | null} */
let card = null;
/** @type {HTMLElement | null} */
let owner = null;
/** What the card is not to cover. @type {HTMLElement | undefined} */
let clearOf;

/** Puts a fixed card next to `anchor`: above it where there is room, else below, else beside; inside the window always.
 * @type {(floating: HTMLElement, anchor: Element) => void} */
export const place = (floating, anchor) => {
  const box = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = floating;
  const above = box.top - height - 8;
  const lowest = innerHeight - height - 8;
  const fits = above >= 8 || box.bottom + 8 <= lowest;
  const right = box.right + width + 16 <= innerWidth ? box.right + 8 : box.left - width - 8;
  const left = fits || right < 8 ? Math.min(Math.max(8, box.left + box.width / 2 - width / 2), innerWidth - width - 8) : right;
  floating.style.left = `${left}px`;
  floating.style.top = `${above >= 8 ? above : Math.max(8, Math.min(box.bottom + 8, lowest))}px`;
};

/** Puts it at the right of `clear`, level with `anchor`; tells whether there is room.
 * @type {(floating: HTMLElement, anchor: Element, clear: Element) => boolean} */
const placeBeside = (floating, anchor, clear) => {
  const left = clear.getBoundingClientRect().right + 8;
  if (left + floating.offsetWidth + 8 > innerWidth) return false;
  floating.style.left = `${left}px`;
  floating.style.top = `${Math.max(8, Math.min(anchor.getBoundingClientRect().top, innerHeight - floating.offsetHeight - 8))}px`;
  return true;
};

/** @type {(floating: HTMLElement, target: HTMLElement) => void} */
const put = (floating, target) => { if (!clearOf || !placeBeside(floating, target, clearOf)) place(floating, target); };

const hide = () => {
  card?.remove();
  owner?.removeAttribute("aria-describedby");
  card = owner = null;
};

/** @type {(target: HTMLElement, content: Explanation) => void} */
const show = (target, { title, text, also, clear }) => {
  hide();
  owner = target;
  card = el(
    "div", { class: "kv-tip", role: "tooltip", id: "kv-tip" },
    title ? el("strong", {}, title) : null,
    el("span", {}, text),
    also ? el("small", {}, `Elsewhere: ${also}`) : null,
  );
  showFloating(card);
  target.setAttribute("aria-describedby", "kv-tip");
  clearOf = clear;
  put(card, target);
};

/**
 * Makes `target` explain itself, unless there is nothing to say.
 * @template {HTMLElement} Target
 * @param {Target} target
 * @param {Explanation} content
 */
export const explain = (target, content) => {
  if (!content.text) return target;
  target.addEventListener("pointerenter", () => show(target, content));
  target.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide());
  target.addEventListener("focus", () => show(target, content));
  target.addEventListener("blur", hide);
  target.addEventListener("click", ({ isTrusted }) => isTrusted && show(target, content));
  return target;
};

document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
document.addEventListener("pointerdown", (event) => owner && !within(event, owner) && hide());
/** The keyboard brings what it reaches into view, and the card goes along; a mouse has moved on to something else. */
const follow = () => {
  if (!card || !owner) return;
  const { top, bottom } = owner.getBoundingClientRect();
  if (document.activeElement === owner && bottom > 0 && top < innerHeight) put(card, owner);
  else hide();
};
addEventListener("scroll", follow, true);
