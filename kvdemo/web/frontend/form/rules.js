// The samplers' settings of a lane, in the order in which they apply: fetched when a lane's are first opened.
import { el } from "../base/dom.js";
import { tellsOf } from "../base/explain/strategy_card.js";
import { explain } from "../base/explain/tooltip.js";
import { bounds, drawSetting } from "./lane_setting.js";

/** What holds for all of them, in a sentence or two.
 * @param {OfferedSampler[]} samplers */
const order = (samplers) => {
  const greedy = samplers.filter((sampler) => sampler.greedy_too).map(({ name }) => name);
  return `Applied in this order. At temperature 0 nothing is drawn${greedy.length ? `, and what applies is ${greedy.join(" and ").toLowerCase()}` : ""}.`;
};

/**
 * The sentence and the settings. `of` is what the lane is called; `changed` is called when the lane has a new value.
 * @param {PickedLane} lane
 * @param {OfferedSampler[]} samplers
 * @param {{ of: string, changed: () => void }} how
 */
export const drawRules = (lane, samplers, { of, changed }) => {
  const pairs = samplers.flatMap((sampler) => Object.entries(sampler.options).map(([name, option]) => {
    const about = `${sampler.summary} ${option.about} ${bounds(option, option.shared ? "as set for all lanes" : "off")}`;
    const usual = option.shared ? "as all" : "off";
    const term = explain(el("button", { type: "button", class: "kv-term" }, option.label), { title: sampler.name, text: `${about} Press for how it works.` });
    return el("div", {}, tellsOf(term, sampler), drawSetting(lane, name, option, { of, about, usual, changed }));
  }));
  return [el("p", {}, order(samplers)), el("div", { class: "kv-rules" }, ...pairs)];
};
