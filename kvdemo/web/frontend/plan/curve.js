// The curve of a plan's chart: bytes of cache against tokens of context, and the ticks of both axes.

/** Where the chart begins, in tokens. */
export const FIRST = 128;

/**
 * One sequence's cache as points. It grows by one amount until its windows are full and by another past them, which
 * is the whole curve where all windows are equal; otherwise it is drawn through what was worked out.
 * @param {any} plan the plan document (kvdemo/costs/planner.py)
 * @param {number} end the last context, in tokens
 * @returns {[number, number][]} tokens and bytes, ascending
 */
export const curve = ({ cache, weights, fit }, end) => {
  const { constant_bytes: constant, bytes_per_token: before, bytes_per_token_past_windows: after, at } = cache;
  const last = at.at(-1);
  const full = before === after ? Infinity : (last.bytes - constant - last.positions * after) / (before - after);
  const bytes = (n) => constant + Math.min(n, full) * before + Math.max(0, n - full) * after;
  if (at.every((point) => Math.abs(bytes(point.positions) - point.bytes) < 1)) {
    const steps = Array.from({ length: 65 }, (_, i) => Math.round(FIRST * (end / FIRST) ** (i / 64)));
    return (full > FIRST && full < end ? [...steps, full].sort((a, b) => a - b) : steps).map((n) => [n, bytes(n)]);
  }
  const known = new Map([...at, cache.at_context].map((point) => [point.positions, point.bytes]));
  if (cache.outgrows_weights_at) known.set(cache.outgrows_weights_at, weights.bytes);
  if (fit.largest_context) known.set(fit.largest_context, fit.free_bytes);
  return [...known].filter(([n]) => n >= FIRST && n <= end).sort(([a], [b]) => a - b);
};

/** The powers of ten from the one at or below `low` to the one at or above `high`. */
export const decades = (low, high) => {
  const first = Math.floor(Math.log10(low));
  return Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, i) => 10 ** (first + i));
};

/** A power of ten as it stands at a tick: 1k, 100M. */
export const powers = (n) => (n >= 1e9 ? `${n / 1e9}G` : n >= 1e6 ? `${n / 1e6}M` : n >= 1e3 ? `${n / 1e3}k` : String(n));
