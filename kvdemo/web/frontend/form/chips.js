// A row of small buttons that fill a form.
import { el, mount } from "../base/dom.js";
import { given } from "../base/event_data.js";
import { explain } from "../base/explain/tooltip.js";

/**
 * A button: the value that it stands for, and why to press it.
 * @template Value
 * @typedef {{ label: string, value: Value, why: string }} Chip
 */

/** @type {(id: string) => void} */
let press = () => {};
/** @type {string | null} the preset that was last said to fill the form, also before its buttons are drawn */
let pressed = null;

/** Presses the button of a preset, which is the last of its values: it stays pressed while the form is what it filled.
 * @param {string} id */
export const pressPreset = (id) => {
  pressed = id;
  press(id);
};

/**
 * The one pressed leaves its value in kvdemo.given.picked. A sticky row's values are lists, each with a name at its end.
 * @typedef {{ name: string } & ({ sticky: true, items: Chip<unknown[]>[] } | { sticky: false, items: Chip<unknown>[] })} Row
 * @type {DrawElement<string, Row>}
 */
export const drawChips = (element, _props, _watch, pick, row) => {
  const group = el("div", { class: "kv-choices", role: "group", "aria-label": row.name });
  const buttons = row.items.map(({ label, value, why }) => explain(
    el("button", { type: "button", class: "kv-choice", "data-value": row.sticky && Array.isArray(value) ? String(value.at(-1)) : null, onclick: () => { given.picked = value; pick(); } }, label),
    { text: why, clear: group }));
  if (row.sticky) {
    const names = row.items.map(({ value }) => String(value.at(-1)));
    press = (id) => { for (const [i, name] of names.entries()) buttons[i].setAttribute("aria-pressed", String(name === id)); };
    press(pressed ?? names[0]);
  }
  group.append(...buttons);
  mount(element, group);
};
