// A forward pass as ranges of positions, and those as the cells of one row. Counts in, no drawing.
import { HELD } from "./declared_steps.js";

/** @typedef {import("../lanes/lane.js").Pass} Pass */
/** @typedef {import("./declared_steps.js").Piece} Piece */

/**
 * Positions from `from` up to `to` that are of one kind; `size` is how high a cell is, as a share of a full one.
 * @typedef {{ kind: string, from: number, to: number, size: number }} Range
 */

/**
 * How a lane's passes are drawn: the kind of what its cache holds, how many first positions are kept for good, and up to
 * which position room is reserved (0 for none).
 * @typedef {{ kind: string, sinks: number, room: number }} Look
 */

/**
 * The look of a lane, as its strategy declares it. One that declares nothing reads what it does not compute.
 * @param {core.Picture | null | undefined} picture
 * @param {Record<string, string | number>} options the lane's settings
 * @param {number} end positions of the prompt and of all tokens that may follow
 * @returns {Look}
 */
export const lookOf = (picture, options, end) => ({
  kind: (picture && HELD[picture.keeps]) ?? "read",
  sinks: picture?.sinks ? Number(options[picture.sinks]) : 0,
  room: picture?.keeps === "reserved" ? end : 0,
});

/**
 * What a pass dropped before, read, computed and rejected, in the order of the positions.
 * @type {(pass: Pass, look: Look) => Range[]}
 */
export const rangesOf = ({ context, positions, rejected, seen, bytes, exact }, { kind, sinks, room }) => {
  const size = kind === "packed" && exact > bytes ? bytes / exact : 1;
  const dropped = seen - context;
  const first = dropped ? Math.min(sinks, context - positions) : 0;
  const ranges = [
    { kind, from: 0, to: first, size },
    { kind: "dropped", from: first, to: first + dropped, size: 1 },
    { kind, from: first + dropped, to: seen - positions, size },
    { kind: "computed", from: seen - positions, to: seen - rejected, size: 1 },
    { kind: "rejected", from: seen - rejected, to: seen, size: 1 },
    { kind: "room", from: seen - rejected, to: room, size: 1 },
  ];
  return ranges.filter(({ from, to }) => to > from);
};

/** The ranges between two positions. @type {(ranges: Range[], start: number, end: number) => Range[]} */
const clipped = (ranges, start, end) => ranges
  .map((range) => ({ ...range, from: Math.max(range.from, start), to: Math.min(range.to, end) })).filter(({ from, to }) => to > from);

/** As many of the newest positions stand as cells of their own. */
const APART = 8;

/** A range as one wide cell with its count, or as cells. @type {(range: Range, wide: boolean) => Piece} */
const piece = ({ kind, from, to, size }, wide) => ({
  kind, size, ...(wide ? { text: (to - from).toLocaleString("en-US") } : { cells: to - from }),
});

/**
 * Ranges as the pieces of one row: the prompt's column, in which each has its share, and what stands behind it, of which
 * all but the newest is folded.
 * @param {Range[]} ranges
 * @param {number} prompt
 * @returns {{ prompt: Piece[], rest: Piece[] }}
 */
export const fold = (ranges, prompt) => {
  const before = clipped(ranges, 0, prompt);
  const behind = clipped(ranges.filter(({ kind }) => kind !== "room"), prompt, Infinity);
  const end = behind.at(-1)?.to ?? prompt;
  const cut = end - prompt > APART + 2 ? end - APART : prompt;
  return {
    prompt: before.map((range) => ({ ...piece(range, true), ...(before.length === 1 ? { text: undefined } : {}), share: Math.max(0.15, (range.to - range.from) / prompt) })),
    rest: [
      ...clipped(behind, prompt, cut).map((range) => piece(range, true)), ...clipped(behind, cut, end).map((range) => piece(range, false)),
      ...ranges.filter(({ kind }) => kind === "room").map((range) => piece(range, true)),
    ],
  };
};

/**
 * How many positions of each kind a pass has, over all of its rows.
 * @param {Range[]} ranges
 * @param {number} rows
 * @returns {Record<string, number>}
 */
export const counts = (ranges, rows) => {
  /** @type {Record<string, number>} */
  const found = {};
  for (const { kind, from, to } of ranges) found[kind] = (found[kind] ?? 0) + rows * (to - from);
  return found;
};

/** What passes computed, and what they would have without a cache. @param {Pass[]} passes */
export const sums = (passes) => ({
  computed: passes.reduce((sum, { rows, positions }) => sum + rows * positions, 0),
  whole: passes.reduce((sum, { rows, seen }) => sum + rows * seen, 0),
});
