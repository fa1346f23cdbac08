// How fast a run plays.

/** A whole run plays in about so many milliseconds, but no step is shorter than a frame of 60 a second or longer than this. */
const WHOLE = 8_000;
const [SHORTEST, LONGEST] = [1000 / 60, 450];

/** Milliseconds of a step while a run of so many plays.
 * @param {number} steps */
export const pace = (steps) => Math.min(LONGEST, Math.max(SHORTEST, WHOLE / steps));
