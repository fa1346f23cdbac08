// Steps as rows of cells, and what the cells stand for.
import { el } from "../../base/dom.js";

/** What each kind of cell is, in words: the key beside a picture. @type {Record<string, string>} */
export const KINDS = {
  computed: "computed in this step",
  read: "read from the cache",
  fetched: "fetched from main memory",
  packed: "read from the cache, in fewer bits",
  drafted: "drafted, checked in the same pass",
  rejected: "drafted and rejected",
  dropped: "dropped",
  room: "room that is reserved",
};
/** More rows than these side by side are drawn as these. */
const LINES = 4;

/** @param {import("./declared_steps.js").Piece} piece */
const piece = ({ kind, cells, text, size, share }) => {
  const style = [size !== undefined && size < 1 ? `--size: ${size}` : "", share !== undefined ? `flex-grow: ${share}` : ""].filter(Boolean).join("; ");
  const cell = () => el("i", { "data-kind": kind, style: style || null, "data-fold": cells === undefined }, text);
  return cells === undefined ? [cell()] : Array.from({ length: cells }, cell);
};

/** @param {import("./declared_steps.js").Row} row */
const line = ({ prompt, rest }) => el("div", { class: "kv-cellrow" },
  el("span", { class: "kv-promptcells" }, ...prompt.flatMap(piece)), ...rest.flatMap(piece));

/** @param {import("./declared_steps.js").Row} row */
export const drawStep = (row) => {
  const lines = Math.min(row.lines ?? 1, LINES);
  return el("div", { class: "kv-step", "data-branches": Boolean(row.branches) && lines > 1 },
    el("b", {}, row.label),
    el("div", { class: "kv-linestack", "data-lines": String(lines) }, ...Array.from({ length: lines }, () => line(row))),
    el("u", {}, row.computes));
};

/**
 * Rows are steps, cells are positions. `prompt` is what stands above the prompt's column.
 * @param {import("./declared_steps.js").Row[]} rows
 * @param {string} prompt
 */
export const drawRows = (rows, prompt) => {
  const width = Math.max(1, ...rows.map(({ rest }) => rest.reduce((sum, { cells = 4 }) => sum + cells, 0)));
  return el("div", { class: "kv-steprows", style: `--cells: ${width}`, "aria-hidden": "true" },
    el("div", { class: "kv-step kv-stepcolumns" }, el("b"), el("div", { class: "kv-cellrow" }, el("span", { class: "kv-promptcells" }, prompt), el("span", {}, "new tokens")), el("u", {}, "computed")),
    ...rows.map(drawStep));
};

/** The kinds of cells that rows have, in the order of KINDS.
 * @param {import("./declared_steps.js").Row[]} rows */
export const kindsOf = (rows) => Object.keys(KINDS).filter((kind) => rows.some(({ prompt, rest }) => [...prompt, ...rest].some((part) => part.kind === kind)));

/** @param {string} kind */
export const swatch = (kind) => el("i", { "data-kind": kind });

/** @param {string[]} kinds */
export const drawKey = (kinds) => el("p", { class: "kv-key", "aria-hidden": "true" },
  ...kinds.map((kind) => el("span", {}, swatch(kind), KINDS[kind])));
