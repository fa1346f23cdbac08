// Columns on a logarithmic scale: a small difference a layer or a step, and a line that it should stay under.
import { el } from "../../base/dom.js";
import { logScale, powerOfTen } from "./scale.js";

/**
 * @typedef {object} Column
 * @property {string} label under it, for some of them
 * @property {string} title all of it in words
 * @property {{ value: number, kind: string }[]} bars
 * @property {boolean} [odd] marked as what departs
 * @property {number} [limit] what its bars should stay under
 */

/**
 * @param {object} what
 * @param {Column[]} what.columns
 * @param {string} what.label the whole in words
 * @param {string} what.axis what the columns are
 * @param {{ value: number, label: string } | null} [what.line]
 * @param {number} [what.least] the scale begins at the power of ten below this, if no value is smaller
 */
export const columnsChart = ({ columns, label, axis, line = null, least = 1e-8 }) => {
  const values = columns.flatMap(({ bars, limit }) => [...bars.map(({ value }) => value), limit ?? 0]).filter((value) => value > 0);
  const scale = logScale(Math.min(least, ...values), Math.max(line?.value ?? 0, ...values, least * 10));
  /** @param {number} value */
  const percent = (value) => `${100 * scale.at(value)}%`;
  const every = Math.ceil(columns.length / 16);
  /** @type {(column: Column, index: number) => HTMLElement} */
  const column = ({ label: name, title, bars, odd, limit }, i) => el("div", { class: "kv-column", title, "data-odd": String(Boolean(odd)) },
    ...bars.map(({ value, kind }) => el("i", { "data-kind": kind, "data-zero": String(value === 0), style: `height: ${value === 0 ? "3px" : `max(3px, ${percent(value)})`}` })),
    limit ? el("u", { style: `bottom: ${percent(limit)}` }) : null, odd ? el("b", {}, "≠") : null, i % every === 0 ? el("small", {}, name) : null);
  return el("div", { class: "kv-columnchart", role: "img", "aria-label": label },
    el("div", { class: "kv-axis" }, ...scale.ticks.map(({ power, at }) => el("span", { style: `bottom: ${100 * at}%` }, powerOfTen(power)))),
    el("div", { class: "kv-plotarea" },
      ...scale.ticks.map(({ at }) => el("s", { style: `bottom: ${100 * at}%` })),
      line ? el("em", { style: `bottom: ${percent(line.value)}` }, el("span", {}, line.label)) : null,
      el("div", { class: "kv-columnrow" }, ...columns.map(column))),
    el("p", { class: "kv-axisname" }, axis));
};

/** What the colours of the columns stand for: a kind and a text each.
 * @param {[string, string][]} keys */
export const columnKeys = (keys) => el("div", { class: "kv-partkeys" }, ...keys.map(([kind, text]) => el("span", {}, el("i", { "data-kind": kind }), text)));

/** A verdict: a mark, and a sentence.
 * @type {(holds: boolean, text: string) => HTMLElement} */
export const verdict = (holds, text) => el("p", { class: "kv-verdict", "data-holds": String(holds) }, el("b", { "aria-hidden": "true" }, holds ? "✓" : "✗"), text);

/** A plain table: its head, and rows of which the first entry names the row.
 * @type {(caption: string, head: string[], rows: string[][]) => HTMLElement} */
export const table = (caption, head, rows) => el("table", { class: "kv-plain" }, el("caption", { class: "kv-hidden" }, caption),
  el("thead", {}, el("tr", {}, ...head.map((name) => el("th", { scope: "col" }, name)))),
  el("tbody", {}, ...rows.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, first), ...rest.map((cell) => el("td", {}, cell))))));
