// Where the cells of many steps stand in a picture of a fixed size: it zooms out, by halves, as steps come.

/** @typedef {import("./ranges.js").Range} Range */
/**
 * The prompt's column in pixels, the height of a row and the width of a cell.
 * @typedef {{ column: number, row: number, cell: number }} Geometry
 */
/** A part of a range: where it begins and ends in pixels. @typedef {{ kind: string, size: number, left: number, right: number }} Part */

const LARGEST = 9;
/** Between the prompt's column and what stands behind it, and between two cells that are drawn apart. */
const GAP = 8;
const BETWEEN = 1.5;
/** Rows that are as high as this, and cells as wide, are drawn apart. */
export const ROOMY = 5;

/** The least of 8, 16, 32 ... that has room for a count. @param {number} count */
export const capacity = (count) => 2 ** Math.max(3, Math.ceil(Math.log2(Math.max(1, count))));

/**
 * @param {object} of
 * @param {number} of.width in pixels, as all lengths
 * @param {number} of.height
 * @param {number} of.column the width of the prompt's column
 * @param {number} of.rows rows that must fit
 * @param {number} of.cells cells after the prompt that must fit
 * @returns {Geometry}
 */
export const geometryOf = ({ width, height, column, rows, cells }) => ({
  column,
  row: Math.min(LARGEST, height / Math.max(1, rows)),
  cell: Math.min(LARGEST, Math.max(0, width - column - GAP) / Math.max(1, cells)),
});

/**
 * A row's ranges as parts. The prompt is folded into its column, as long as it may be; where there is room, each position
 * behind it stands apart.
 * @type {(ranges: Range[], prompt: number, geometry: Geometry) => Part[]}
 */
export const partsOf = (ranges, prompt, { column, row, cell }) => ranges.flatMap(({ kind, size, from, to }) => {
  const behind = (/** @type {number} */ position) => column + GAP + (position - prompt) * cell;
  const parts = from < prompt ? [{ kind, size, left: (column * from) / prompt, right: (column * Math.min(to, prompt)) / prompt }] : [];
  const first = Math.max(from, prompt);
  if (to <= first) return parts;
  if (row < ROOMY || cell < ROOMY) return [...parts, { kind, size, left: behind(first), right: behind(to) }];
  return [...parts, ...Array.from({ length: to - first }, (_, i) => ({ kind, size, left: behind(first + i), right: behind(first + i + 1) - BETWEEN }))];
});

/** The row at a height; the last one below it. @type {(y: number, rows: number, geometry: Geometry) => number} */
export const rowAt = (y, rows, { row }) => Math.max(0, Math.min(rows - 1, Math.floor(y / row)));
