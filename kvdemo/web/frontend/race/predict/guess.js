// A guess and how close it came. Drawn curves have no unit: only their shapes, and how they stand to each other, are judged.
import { format } from "../../base/format.js";

/** Closer than this, a guess is called right. */
const CLOSE = 1.1;
/** Steps after the prompt's that a curve can be compared with. */
export const LEAST = 8;

/**
 * What somebody guessed; null for what was left alone.
 * @typedef {object} Guess
 * @property {number | null} times how many times as fast the second lane is as the first
 * @property {(number[] | null)[]} curves of each of the two, the latency from the second token to the last, in no unit
 */

/**
 * What a race measured.
 * @typedef {object} Measured
 * @property {string} name
 * @property {number[]} x positions of its tokens
 * @property {number[]} latency of each, in ms; the first is the prompt's
 */

/** @type {(guessed: number, measured: number) => string} */
const verdict = (guessed, measured) => {
  const off = guessed / measured;
  if (Math.max(off, 1 / off) < CLOSE) return "close";
  return off > 1 ? `${format.times(off)} too much` : `${format.times(1 / off)} too little`;
};

/** @type {(numbers: number[]) => number} */
const median = (numbers) => {
  const ordered = [...numbers].sort((a, b) => a - b);
  const middle = ordered.length >> 1;
  return ordered.length % 2 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
};

/** The ends of a measured curve after the prompt's step: medians, so that one slow step decides nothing.
 * @param {number[]} latency */
const ends = (latency) => {
  const steps = latency.slice(1);
  const some = Math.max(3, Math.round(steps.length / 8));
  return { first: median(steps.slice(0, some)), last: median(steps.slice(-some)) };
};

/** A drawn curve at a share of its width, between its points.
 * @type {(curve: number[], at: number) => number} */
export const drawnAt = (curve, at) => {
  const place = Math.min(1, Math.max(0, at)) * (curve.length - 1);
  const left = Math.min(Math.floor(place), curve.length - 2);
  return curve[left] + (place - left) * (curve[left + 1] - curve[left]);
};

/** The height of a drawn end; the ground counts as the lowest that can be drawn above it.
 * @type {(curve: number[], at: number) => number} */
const end = (curve, at) => Math.max(1, drawnAt(curve, at));

/** @type {(guess: Guess, lanes: Measured[]) => { curve: number[], lane: Measured }[]} */
const drawn = ({ curves }, lanes) => curves.flatMap((curve, i) => (curve && lanes[i]?.latency.length > LEAST ? [{ curve, lane: lanes[i] }] : []));

/** @param {number[]} numbers */
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/**
 * What was drawn as lines in ms: all by one factor, which makes the drawn heights add up to the measured ones.
 * @param {Guess} guess
 * @param {Measured[]} lanes
 * @returns {{ name: string, lane: number, x: number[], y: number[] }[]}
 */
export const scaled = (guess, lanes) => {
  const heights = drawn(guess, lanes).map(({ curve, lane }) => ({
    lane, y: lane.latency.slice(1).map((_, i, { length }) => drawnAt(curve, i / (length - 1))),
  }));
  const guessed = sum(heights.map(({ y }) => sum(y)));
  const measured = sum(heights.map(({ lane }) => sum(lane.latency.slice(1))));
  if (!guessed) return [];
  return heights.map(({ lane, y }) => ({
    name: `${lane.name}, your guess`, lane: lanes.indexOf(lane), x: lane.x.slice(1), y: y.map((height) => (height * measured) / guessed),
  }));
};

/**
 * How close a guess came, a sentence each; none for what was left alone or cannot be told.
 * @param {Guess} guess
 * @param {Measured[]} lanes the two
 * @param {number | null} times how many times as fast the second lane was
 * @returns {string[]}
 */
export const outcome = (guess, lanes, times) => {
  const said = [];
  if (guess.times !== null && lanes.length > 1) {
    said.push(times === null ? "The speeds of these two lanes cannot be compared, so the guess stays open."
      : `You guessed that ${lanes[1].name} is ${format.times(guess.times)} as fast as ${lanes[0].name}; it was ${format.times(times)}: ${verdict(guess.times, times)}.`);
  }
  const curves = drawn(guess, lanes);
  for (const { curve, lane } of curves) {
    const { first, last } = ends(lane.latency);
    const growth = end(curve, 1) / end(curve, 0);
    said.push(`${lane.name}: you drew its last tokens ${format.times(growth)} as slow as its first ones; they were ${format.times(last / first)}: ${verdict(growth, last / first)}.`);
  }
  if (curves.length === 2) {
    const [a, b] = curves;
    const apart = end(a.curve, 1) / end(b.curve, 1);
    const measured = ends(a.lane.latency).last / ends(b.lane.latency).last;
    said.push(`At the end you drew a token of ${a.lane.name} ${format.times(apart)} as slow as one of ${b.lane.name}; it was ${format.times(measured)}: ${verdict(apart, measured)}.`);
  }
  if (!curves.length && guess.curves.some(Boolean)) said.push("The lanes wrote too few tokens to hold your curves against.");
  return said;
};
