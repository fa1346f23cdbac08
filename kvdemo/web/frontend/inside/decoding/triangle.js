// The triangle of query-key products: a row for each query, a column for each key. What a step computes, and where it lies.

import { format } from "../../base/format.js";
import { amount } from "../drawing/scale.js";

/** Work that a step counts, with a cache and without (`_all`). @typedef {"positions" | "products" | "flops" | "positions_all" | "products_all" | "flops_all"} Work */
/** Counts that every model has. @typedef {"products" | "products_all" | "products_so_far" | "products_all_so_far"} Products */
/** @typedef {"computed" | "saved" | "ahead" | "ground"} Color */

/** Above this a cell has room for a gap around it. */
const GAP_FROM = 5;
const LARGEST = 40;

/** Pixels of a cell, so that all of a length have room: whole ones where there are enough.
 * @type {(length: number, room: number) => number} */
export const cellSize = (length, room) => {
  const size = room / length;
  return size >= 2 ? Math.min(LARGEST, Math.floor(size)) : size;
};

/** The rows that a step computes with a cache: from the first to before the last. Those above them it reads.
 * @param {Pick<inside.DecodingStep, "length" | "positions">} step */
export const rowsOf = ({ length, positions }) => ({ from: length - positions, to: length });

/** The query and the key at a place, or null where a query does not look.
 * @type {(x: number, y: number, cell: number, length: number) => { query: number, key: number } | null} */
export const cellAt = (x, y, cell, length) => {
  const [key, query] = [Math.floor(x / cell), Math.floor(y / cell)];
  return key >= 0 && key <= query && query < length ? { query, key } : null;
};

/** The step that computed a position first.
 * @type {(steps: inside.DecodingStep[], position: number) => number} */
export const stepOf = (steps, position) => Math.max(0, steps.findIndex(({ length }) => position < length));

/** Sums over the steps up to one of them, with a cache and without. Null where a step has no figure.
 * @type {(steps: inside.DecodingStep[], index: number, key: Work) => number | null} */
export const totals = (steps, index, key) => {
  let sum = 0;
  for (const step of steps.slice(0, index + 1)) {
    const count = step[key];
    if (count === null) return null;
    sum += count;
  }
  return sum;
};

/** "3 positions" is a plural, "1 position" is not.
 * @type {(count: number, noun: string) => string} */
const plural = (count, noun) => `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;

/** A step in words.
 * @type {(steps: inside.DecodingStep[], index: number) => string} */
export const sentence = (steps, index) => {
  const step = steps[index];
  /** @param {Products} key */
  const all = (key) => step[key].toLocaleString("en-US");
  const reads = index === 0 ? `the first step reads all ${plural(step.length, "token")} of the text` : `it reads ${plural(step.positions, "token")}`;
  return `Step ${index + 1}: ${plural(step.products_all, "product")} without a cache, ${all("products")} with; `
    + `so far ${all("products_all_so_far")} against ${all("products_so_far")}. With a cache ${reads}.`;
};

/** Why the first token is slow, from the work of the first two steps; of a run that is `over` after one, that nothing is saved.
 * @type {(steps: inside.DecodingStep[], over?: boolean) => string} */
export const firstToken = ([first, second], over = false) => {
  if (!second && over) return `With one new token a cache saves nothing: the only step reads all ${plural(first.positions, "token")} of the text, with it and without.`;
  if (!second || second.positions >= first.positions) return "";
  const [work, later] = [first.flops, second.flops];
  const known = work !== null && later !== null && later > 0;
  const [before, after] = known ? [`, ${amount(work, "FLOPs")}`, `, ${amount(later, "FLOPs")}. So the first takes ${format.times(work / later)} the work of the next`] : ["", ""];
  return `The first token is slow because its step reads all ${plural(first.positions, "token")} of the text${before}; `
    + `the next step reads ${plural(second.positions, "token")}${after}. Press Play to see the cache fill and each later step add its row.`;
};

/** Outlines the rows from one to before another.
 * @type {(context: CanvasRenderingContext2D, from: number, to: number, cell: number) => void} */
const staircase = (context, from, to, cell) => {
  context.beginPath();
  context.moveTo(0, from * cell);
  for (let row = from; row < to; row += 1) {
    context.lineTo((row + 1) * cell, row * cell);
    context.lineTo((row + 1) * cell, (row + 1) * cell);
  }
  context.lineTo(0, to * cell);
  context.closePath();
};

/**
 * Draws the triangle as it is after a step. `weights`, a picture with a pixel a product, takes the place of the plain colours.
 * @param {CanvasRenderingContext2D} context
 * @param {{ length: number, cell: number, step: inside.DecodingStep, colors: Record<Color, string>, weights: CanvasImageSource | null }} what
 */
export const drawTriangle = (context, { length, cell, step, colors, weights }) => {
  const size = length * cell;
  const { from, to } = rowsOf(step);
  context.clearRect(0, 0, size, size);
  staircase(context, 0, length, cell);
  context.fillStyle = colors.ahead;
  context.fill();
  if (weights) {
    context.imageSmoothingEnabled = false;
    context.drawImage(weights, 0, 0, length, to, 0, 0, size, to * cell);
  } else {
    staircase(context, 0, from, cell);
    context.fillStyle = colors.saved;
    context.fill();
    staircase(context, from, to, cell);
    context.fillStyle = colors.computed;
    context.fill();
  }
  if (cell >= GAP_FROM) grid(context, length, cell, colors.ground);
  if (!weights && cell >= GAP_FROM) return;
  staircase(context, from, to, cell);
  context.strokeStyle = colors.computed;
  context.lineWidth = 1.5;
  context.stroke();
};

/** @type {(context: CanvasRenderingContext2D, length: number, cell: number, color: string) => void} */
const grid = (context, length, cell, color) => {
  context.beginPath();
  for (let i = 0; i <= length; i += 1) {
    context.moveTo(0, i * cell);
    context.lineTo(Math.min(i + 1, length) * cell, i * cell);
    context.moveTo(i * cell, Math.max(0, i - 1) * cell);
    context.lineTo(i * cell, length * cell);
  }
  context.strokeStyle = color;
  context.lineWidth = 1.5;
  context.stroke();
};

/**
 * Attention weights as a picture with a pixel a product: the more a query reads of a key, the stronger.
 * @param {number[][]} rows
 * @param {number[]} color red, green and blue
 */
export const weightPixels = (rows, color) => {
  const length = rows.length;
  const pixels = new Uint8ClampedArray(4 * length * length);
  for (const [query, row] of rows.entries()) {
    for (const [key, weight] of row.entries()) {
      const at = 4 * (query * length + key);
      pixels.set(color, at);
      // The square root lets a small share be seen beside the first position, which takes most in many heads.
      pixels[at + 3] = 255 * (0.06 + 0.94 * Math.sqrt(weight));
    }
  }
  return pixels;
};
