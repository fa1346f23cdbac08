// Where a lane's time goes: prefill against decode, and what of it went into the tokenizer.
import { laneColor } from "../base/colors.js";
import { el } from "../base/dom.js";
import { BOUNDS } from "../base/python_constants.js";
import { format } from "../base/format.js";
import { definitions, term } from "../base/explain/terms.js";
import { laneName } from "./table.js";

/**
 * A lane that has run, its place, and the mean seconds of a run.
 * @typedef {{ lane: DrawnLane, index: number, statistics: measure.Statistics, whole: number }} Ran
 */

/** @type {(document: DrawnMeasurement) => Ran[]} */
const ranOf = ({ lanes }) => lanes.flatMap((lane, index) => {
  const { statistics } = lane;
  return statistics?.e2e_s ? [{ lane, index, statistics, whole: statistics.e2e_s.mean }] : [];
});

/** @type {(part: number, whole: number) => string} */
const share = (part, whole) => `${(100 * part) / whole}%`;

/** @type {(ran: Ran, longest: number) => HTMLElement} */
const bar = ({ lane, index, statistics, whole }, longest) => {
  const { ttft_s: prefill, decode_s: decode, level_s: level } = statistics;
  const tokenize = statistics.tokenize_s?.mean ?? 0;
  const parts = el("div", { class: "kv-bar", style: `width: ${share(whole, longest)}` },
    ...(prefill ? [el("i", { "data-part": "prefill", style: `width: ${share(prefill.mean, whole)}` })] : []),
    el("i", { "data-part": "decode", style: `width: ${share(prefill && decode ? decode.mean : whole, whole)}` }));
  const within = tokenize > 0 ? el("div", { class: "kv-bar", style: `width: ${share(tokenize, longest)}` }, el("i", { "data-part": "tokenize" })) : null;
  const took = prefill ? [`prefill ${format.seconds(prefill.mean)}`, `decode ${format.seconds(decode?.mean)}`]
    : [`search ${format.seconds(whole)}`, level ? `${format.seconds(level.mean)} a level` : null];
  const words = [...took,
    within ? `of which tokenising ${format.seconds(tokenize)} (${format.percent(tokenize / whole)})` : null].filter(Boolean).join(" · ");
  return el("div", { class: "kv-split-row", style: `--lane: var(${laneColor(index)})` },
    laneName(lane, index), el("div", { class: "kv-bars", role: "img", "aria-label": `${lane.name}: ${words}` }, parts, within), el("small", {}, words));
};

/** @param {string} part */
const key = (part) => el("span", {}, el("i", { "data-part": part, "aria-hidden": "true" }), term(definitions[part]));

/** Bars on one scale: the longest lane is as wide as there is room. Null before any lane has run.
 * @type {(document: DrawnMeasurement) => Child[] | null} */
export const splitBars = (document) => {
  const ran = ranOf(document);
  if (!ran.length) return null;
  const longest = Math.max(...ran.map(({ whole }) => whole));
  const tokenized = ran.some(({ statistics }) => (statistics.tokenize_s?.mean ?? 0) > 0);
  return [
    el("div", { class: "kv-partkeys" }, key("prefill"), key("decode"), tokenized ? key("tokenize") : null),
    ...ran.map((one) => bar(one, longest)),
  ];
};

/** How far each lane is from what the device allows, and why.
 * @param {DrawnMeasurement} document */
export const against = (document) => {
  const found = document.lanes.flatMap((lane, index) => (lane.roofline ? [{ lane, index, roofline: lane.roofline }] : []));
  if (!found.length) return null;
  return el("div", { class: "kv-against" }, ...found.map(({ lane, index, roofline }) => {
    const { achieved_bytes_per_s: achieved, percent_of_floor: percent, bound, reason } = roofline;
    return el("div", {}, laneName(lane, index),
      el("span", {}, term(definitions.achieved), el("b", {}, `${format.bytes(achieved)}/s`)),
      el("span", {}, term(definitions.floor), el("b", {}, format.percent(percent / 100))),
      el("span", {}, term(definitions.bound), el("b", {}, (bound && BOUNDS[bound]) ?? bound ?? format.none)),
      el("p", {}, reason));
  }));
};
