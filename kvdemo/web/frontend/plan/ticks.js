// The ticks of a plan's chart: powers of ten, in tokens and in bytes.
import { format } from "../base/format.js";

/** The powers of ten from the one at or below `low` to the one at or above `high`.
 * @type {(low: number, high: number) => number[]} */
export const decades = (low, high) => {
  const first = Math.floor(Math.log10(low));
  return Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, i) => 10 ** (first + i));
};

/** A power of ten as it stands at a tick: 1k, 100M.
 * @param {number} n */
export const powers = (n) => (n >= 1e9 ? `${n / 1e9}G` : n >= 1e6 ? `${n / 1e6}M` : n >= 1e3 ? `${n / 1e3}k` : String(n));

/** Bytes without zeros after the point: 24 GB for what somebody typed as 24.
 * @param {number} bytes */
export const roundBytes = (bytes) => format.bytes(bytes).replace(/\.0+(?= )/, "");
