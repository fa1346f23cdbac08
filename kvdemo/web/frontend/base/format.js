// Numbers as people read them: three significant digits, and a dash for what is not known.

const plain = new Intl.NumberFormat("en-US");
// Made once: a formatter costs more to build than to use, and the live numbers use it a hundred times a second.
const digitized = [0, 1, 2].map((digits) => new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
/** @type {(value: number, digits: number) => string} */
const fixed = (value, digits) => digitized[digits].format(value);
/** Three significant digits, the way a stopwatch would show them.
 * @type {(value: number) => string} */
const three = (value) => fixed(value, value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
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
  seconds: (s) => (!known(s) ? NONE : s >= 0.9995 ? `${three(s)} s` : s >= 0.0000995 || s === 0 ? `${three(s * 1000)} ms` : `${three(s * 1e6)} µs`),
  rate: (r) => (known(r) ? three(r) : NONE),
  times: (x) => (known(x) ? `${three(x)}×` : NONE),
  bytes: (b) => {
    if (!known(b)) return NONE;
    if (b < 1000) return `${b} B`;
    const power = Math.min(Math.floor(Math.log10(b) / 3), 4);
    return `${three(b / 1000 ** power)} ${["", "kB", "MB", "GB", "TB"][power]}`;
  },
  flops: (f) => (known(f) ? `${three(f / (f >= 1e12 ? 1e12 : 1e9))} ${f >= 1e12 ? "TFLOP/s" : "GFLOP/s"}` : NONE),
  duration: (s) => {
    if (!known(s)) return NONE;
    const whole = Math.max(1, Math.ceil(s));
    if (whole < 100) return `${whole} s`;
    const minutes = Math.round(whole / 60);
    return minutes < 100 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
  },
  percent: (p) => (!known(p) ? NONE : p >= 0.0995 ? `${fixed(p * 100, 0)} %` : p >= 0.00095 ? `${fixed(p * 100, 1)} %` : "< 0.1 %"),
};
