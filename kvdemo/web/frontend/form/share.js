// A race or a measurement as a link: built here from what the form holds, read on arrival by kvdemo/web/links.py.
import { el, showFloating, within } from "../base/dom.js";
import { place } from "../base/explain/tooltip.js";

/**
 * What a form's links may state: `keys` are its settings, `names` those in links, with their names there, `always` those
 * that stand in every link, and the others stand there where they are not at their `defaults`.
 * @typedef {object} About
 * @property {string} title
 * @property {string} button the id of the one that shares
 * @property {string[]} keys
 * @property {Record<string, string>} names
 * @property {string[]} always
 * @property {Record<string, unknown>} defaults
 * @property {string} [tab]
 * @property {string} [run] a label, where the link may also start
 */

/** @param {unknown} value */
const spelled = (value) => (Array.isArray(value) ? value.join(",") : typeof value === "boolean" ? String(+value) : String(value ?? ""));

/** @type {(about: About, form: Record<string, unknown>, run: boolean) => string} */
const link = ({ names, always, defaults, tab }, form, run) => {
  const query = new URLSearchParams(tab ? { tab } : {});
  for (const [key, name] of Object.entries(names)) {
    const value = spelled(form[key]);
    if (always.includes(key) || value !== spelled(defaults[key])) query.set(name, value);
  }
  // A race's link asks for a guess where this page does (race/predict/predict.js).
  if (!tab && new URLSearchParams(location.search).get("predict") === "1") query.set("predict", "1");
  if (run) query.set("run", "1");
  // What parts lanes and settings may stand as it is in an address, which can then be read.
  return `${location.origin}${location.pathname}?${String(query).replace(/%2C|%3A|%3D/g, decodeURIComponent)}`;
};

/** @type {HTMLElement | null} */
let card = null;
const close = () => {
  card?.remove();
  card = null;
};

/** Shows the link for what the form holds.
 * @type {(about: About, values: unknown[]) => void} */
export const share = (about, values) => {
  close();
  const form = Object.fromEntries(about.keys.map((key, i) => [key, values[i]]));
  /** @type {HTMLInputElement} */
  const field = el("input", { type: "text", readonly: true, "aria-label": about.title, onfocus: () => field.select() });
  const run = el("input", { type: "checkbox", checked: Boolean(about.run) });
  const said = el("span", { role: "status" });
  const refresh = async () => {
    field.value = link(about, form, run.checked);
    try {
      await navigator.clipboard.writeText(field.value);
      said.textContent = "Copied";
    } catch {
      said.textContent = "Select and copy";
    }
  };
  run.addEventListener("change", refresh);
  card = el("div", { class: "kv-sharecard", role: "dialog", "aria-label": about.title },
    el("header", {}, el("strong", {}, about.title), said,
      el("button", { type: "button", class: "kv-close", "aria-label": "Close", onclick: close }, "×")),
    field, about.run ? el("label", {}, run, about.run) : null);
  showFloating(card);
  const button = document.getElementById(about.button);
  if (button) place(card, button);
  refresh().then(() => field.focus());
};

document.addEventListener("keydown", (event) => event.key === "Escape" && close());
document.addEventListener("pointerdown", (event) => card && !within(event, card) && close());
