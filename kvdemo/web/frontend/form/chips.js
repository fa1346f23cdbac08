// A row of small buttons that fill a form.
import { el } from "../base/dom.js";
import { given } from "../base/given.js";
import { explain } from "../base/tooltip.js";

/** @type {(id: string) => void} */
let press = () => {};

/** Presses the button of a preset, which is the last of its values: it stays pressed while the form is what it filled. */
export const pressPreset = (id) => press(id);

/** The one pressed leaves its value in kvdemo.given.picked. */
export const drawChips = (element, props, _watch, pick) => {
  const buttons = props.items.map(({ label, value, why }) => explain(
    el("button", { type: "button", class: "kv-choice", onclick: () => { given.picked = value; pick(); } }, label),
    { text: why }));
  if (props.sticky) {
    press = (id) => { for (const [i, { value }] of props.items.entries()) buttons[i].setAttribute("aria-pressed", String(value.at(-1) === id)); };
    press(props.items[0]?.value.at(-1));
  }
  element.firstElementChild.replaceChildren(el("div", { class: "kv-choices", role: "group", "aria-label": props.name }, ...buttons));
};
