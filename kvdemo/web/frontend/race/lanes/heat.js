// The colour of a token by its latency.

/** Latency over the fastest, on a logarithmic scale of seven colours, half an octave each. */
export const HEAT_LEVELS = 7;
/** @type {(seconds: number, fastest: number) => number} */
export const heat = (seconds, fastest) => Math.min(HEAT_LEVELS - 1, Math.max(0, Math.round(2 * Math.log2(seconds / fastest))));
/** @type {(fastest: number, level: number) => number} */
export const heatLimit = (fastest, level) => fastest * 2 ** (level / 2);
