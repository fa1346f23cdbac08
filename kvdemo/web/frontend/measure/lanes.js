// Where a lane's time goes: prefill against decode, and what of it went into the tokenizer.
import { laneColor } from "../base/colors.js";
import { el } from "../base/dom.js";
import { BOUNDS } from "../base/facts.js";
import { format } from "../base/format.js";
import { definitions, term } from "../base/terms.js";
import { laneName } from "./table.js";

const share = (part, whole) => `${(100 * part) / whole}%`;

const bar = (lane, index, longest) => {
  const { e2e_s: e2e, ttft_s: prefill, decode_s: decode, tokenize_s: tokenize, level_s: level } = lane.statistics;
  const whole = e2e.mean;
  const parts = el("div", { class: "kv-bar", style: `width: ${share(whole, longest)}` },
    ...(prefill ? [el("i", { "data-part": "prefill", style: `width: ${share(prefill.mean, whole)}` })] : []),
    el("i", { "data-part": "decode", style: `width: ${share(prefill ? decode.mean : whole, whole)}` }));
  const within = tokenize?.mean > 0 ? el("div", { class: "kv-bar", style: `width: ${share(tokenize.mean, longest)}` }, el("i", { "data-part": "tokenize" })) : null;
  const took = prefill ? [`prefill ${format.seconds(prefill.mean)}`, `decode ${format.seconds(decode.mean)}`]
    : [`search ${format.seconds(whole)}`, level ? `${format.seconds(level.mean)} a level` : null];
  const words = [...took,
    within ? `of which tokenising ${format.seconds(tokenize.mean)} (${format.percent(tokenize.mean / whole)})` : null].filter(Boolean).join(" · ");
  return el("div", { class: "kv-split-row", style: `--lane: var(${laneColor(index)})` },
    laneName(lane, index), el("div", { class: "kv-bars", role: "img", "aria-label": `${lane.name}: ${words}` }, parts, within), el("small", {}, words));
};

const key = (part) => el("span", {}, el("i", { "data-part": part, "aria-hidden": "true" }), term(definitions[part]));

/** Bars on one scale: the longest lane is as wide as there is room. Null before any lane has run. */
export const splitBars = (document) => {
  const ran = document.lanes.map((lane, index) => [lane, index]).filter(([lane]) => lane.statistics);
  if (!ran.length) return null;
  const longest = Math.max(...ran.map(([{ statistics: s }]) => s.e2e_s.mean));
  const tokenized = ran.some(([{ statistics: s }]) => s.tokenize_s?.mean > 0);
  return [
    el("div", { class: "kv-partkeys" }, key("prefill"), key("decode"), tokenized ? key("tokenize") : null),
    ...ran.map(([lane, index]) => bar(lane, index, longest)),
  ];
};

/** How far each lane is from what the device allows, and why. */
export const against = (document) => {
  const found = document.lanes.map((lane, index) => [lane, index]).filter(([lane]) => lane.roofline);
  if (!found.length) return null;
  return el("div", { class: "kv-against" }, ...found.map(([lane, index]) => {
    const { achieved_bytes_per_s: achieved, percent_of_floor: percent, bound, reason } = lane.roofline;
    return el("div", {}, laneName(lane, index),
      el("span", {}, term(definitions.achieved), el("b", {}, `${format.bytes(achieved)}/s`)),
      el("span", {}, term(definitions.floor), el("b", {}, format.percent(percent / 100))),
      el("span", {}, term(definitions.bound), el("b", {}, BOUNDS[bound] ?? bound ?? format.none)),
      el("p", {}, reason));
  }));
};
