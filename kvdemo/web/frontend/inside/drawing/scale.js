// Scales and numbers of the panels: powers of ten, amounts with a prefix, sizes as text.
import { format, NEARLY } from "../../base/format.js";

/**
 * A logarithmic scale from the power of ten below `least` to that above `most`: `at` gives 0 to 1, and 0 for nothing at all.
 * @param {number} least
 * @param {number} most
 */
export const logScale = (least, most) => {
  const low = Math.floor(Math.log10(least));
  const high = Math.max(low + 1, Math.ceil(Math.log10(most)));
  /** @param {number} value */
  const at = (value) => (value > 0 ? Math.min(1, Math.max(0, (Math.log10(value) - low) / (high - low))) : 0);
  const every = Math.ceil((high - low) / 6);
  const ticks = Array.from({ length: Math.floor((high - low) / every) + 1 }, (_, i) => high - i * every).map((power) => ({ power, at: (power - low) / (high - low) }));
  return { low, high, at, ticks };
};

const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";
/** 10⁻⁴
 * @param {number} power */
export const powerOfTen = (power) => {
  if (power === 0) return "1";
  if (power === 1) return "10";
  return `10${power < 0 ? "⁻" : ""}${[...String(Math.abs(power))].map((digit) => SUPERSCRIPT[+digit]).join("")}`;
};

/** A small difference: 2.1 · 10⁻⁶, or 0.
 * @param {number} value */
export const difference = (value) => {
  if (value === 0) return "0";
  if (value >= 0.001 && value < 1000) return String(Number(value.toPrecision(2)));
  const [digits, power] = value.toExponential(1).split("e");
  // Blanks that do not break: it is one number.
  return digits === "1.0" ? powerOfTen(+power) : `${digits}\u00a0·\u00a0${powerOfTen(+power)}`;
};

const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];
/** 1.23 GFLOPs and 524 kB, with three digits and a prefix; 11,678 positions, as they are counted; null is a dash.
 * @type {(value: number | null | undefined, unit: string) => string} */
export const amount = (value, unit) => {
  if (value === null || value === undefined) return format.none;
  if (unit === "bytes") return format.bytes(value);
  if (unit && unit !== "FLOPs") return `${format.count(Math.round(value))} ${unit}`;
  const power = Math.abs(value) < 10_000 && Number.isInteger(value) ? 0 : Math.min(PREFIXES.length - 1, Math.max(0, Math.floor(Math.log10(Math.abs(value / NEARLY) || 1) / 3)));
  const scaled = power ? format.rate(value / 1000 ** power) : format.count(value);
  return `${scaled}${unit || power ? " " : ""}${PREFIXES[power]}${unit}`.trim();
};

/** A tensor's shape: (1, 3, 42, 64); a dash for null.
 * @param {number[] | null} sizes */
export const shape = (sizes) => (sizes ? `(${sizes.map((size) => format.count(size)).join(", ")})` : format.none);

/** 1 layer, 2 layers.
 * @type {(count: number, noun: string) => string} */
export const several = (count, noun) => `${format.count(count)} ${noun}${count === 1 ? "" : "s"}`;

/**
 * What a term counts of a length: see Term in documents.d.ts.
 * @type {(term: inside.Term, length: number) => number}
 */
const counted = ({ cap, chunk, group }, length) =>
  chunk ? (length - 1) % chunk + 1 : group ? Math.floor(length / group) : Math.min(length, cap ?? Infinity);

/** The value of a formula for a batch and a length: the sum of its terms.
 * @type {(terms: inside.Term[], batch: number, length: number) => number} */
export const evaluate = (terms, batch, length) => terms.reduce(
  (sum, term) => sum + term.coefficient * batch ** term.batch * counted(term, length) ** term.length, 0);
