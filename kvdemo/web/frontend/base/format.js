// Numbers as people read them: three significant digits, and a dash for what is not known.

const plain = new Intl.NumberFormat("en-US");
// Made once: a formatter costs more to build than to use, and the live numbers use it a hundred times a second.
const digitized = [0, 1, 2].map((digits) => new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
/** @type {(value: number, digits: number) => string} */
const fixed = (value, digits) => digitized[digits].format(value);
/** Three significant digits, the way a stopwatch would show them.
 * @type {(value: number) => string} */
const three = (value) => fixed(value, value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
/** From here on a number is written as 1 of its unit (kvdemo/core/figures/units.py has the same). */
export const NEARLY = 0.9995;
/** A number in the unit that fits; `units` has each with its size, the largest first.
 * @type {(value: number, units: [string, number][]) => string} */
const scaled = (value, units) => {
  const [unit, size] = units.find(([, least]) => value >= NEARLY * least) ?? units[units.length - 1];
  return `${three(value / size)} ${unit}`;
};
/** @type {[string, number][]} */
const TIMES = [["s", 1], ["ms", 1e-3], ["µs", 1e-6], ["ns", 1e-9]];
/** @type {(unit: string) => [string, number][]} */
const prefixed = (unit) => [[`P${unit}`, 1e15], [`T${unit}`, 1e12], [`G${unit}`, 1e9], [`M${unit}`, 1e6], [`k${unit}`, 1e3], [unit, 1]];
const BYTES = prefixed("B");
const FLOPS = prefixed("FLOP/s");
const NONE = "–";
/** @type {(value: number | null | undefined) => value is number} */
const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

/**
 * Each takes a number in SI units, or null or undefined where it is not known. `duration` rounds up, for what is left.
 * @typedef {(value: number | null | undefined) => string} Written
 * @type {{ none: string, count: Written, seconds: Written, rate: Written, times: Written, bytes: Written, flops: Written, duration: Written, percent: Written }}
 */
export const format = {
  none: NONE,
  count: (n) => (known(n) ? plain.format(n) : NONE),
  seconds: (s) => (!known(s) ? NONE : s === 0 ? "0.00 ms" : scaled(s, TIMES)),
  rate: (r) => (known(r) ? three(r) : NONE),
  times: (x) => (known(x) ? `${three(x)}×` : NONE),
  bytes: (b) => (!known(b) ? NONE : b < 1000 * NEARLY ? `${b} B` : scaled(b, BYTES)),
  flops: (f) => (known(f) ? scaled(f, FLOPS) : NONE),
  duration: (s) => {
    if (!known(s)) return NONE;
    const whole = Math.max(1, Math.ceil(s));
    if (whole < 100) return `${whole} s`;
    const minutes = Math.round(whole / 60);
    return minutes < 100 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
  },
  percent: (p) => (!known(p) ? NONE : p >= 0.0995 ? `${fixed(p * 100, 0)} %` : p >= 0.00095 ? `${fixed(p * 100, 1)} %` : "< 0.1 %"),
};
