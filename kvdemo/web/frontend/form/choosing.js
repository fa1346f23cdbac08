// "How it chooses": the samplers' settings of a lane, folded into a line that says what the lane gives.
import { el, write } from "../base/dom.js";
import { chosenBy } from "../base/lane_spec.js";
import { tellsOf } from "../base/strategy_card.js";
import { explain } from "../base/tooltip.js";
import { bounds, drawSetting } from "./lane_setting.js";

/** The lanes whose settings were opened, so that a list that is drawn again leaves them open. @type {WeakSet<PickedLane>} */
const opened = new WeakSet();

/** What holds for all of them, in a sentence or two.
 * @param {OfferedSampler[]} samplers */
const order = (samplers) => {
  const greedy = samplers.filter((sampler) => sampler.greedy_too).map(({ name }) => name);
  return `Applied in this order. At temperature 0 nothing is drawn${greedy.length ? `, and what applies is ${greedy.join(" and ").toLowerCase()}` : ""}.`;
};

/**
 * The group. `of` is what the lane is called; `changed` is called when the lane has a new value.
 * @param {PickedLane} lane
 * @param {OfferedSampler[]} samplers
 * @param {{ of: string, changed: () => void }} how
 */
export const drawChoosing = (lane, samplers, { of, changed }) => {
  const options = Object.assign({}, ...samplers.map((sampler) => sampler.options));
  const given = el("span", {});
  const tell = () => write(given, chosenBy(options, lane.values));
  const pairs = samplers.flatMap((sampler) => Object.entries(sampler.options).map(([name, option]) => {
    const about = `${sampler.summary} ${option.about} ${bounds(option, option.shared ? "as set for all lanes" : "off")}`;
    const usual = option.shared ? "as all" : "off";
    const term = explain(el("button", { type: "button", class: "kv-term" }, option.label), { title: sampler.name, text: `${about} Press for how it works.` });
    return el("div", {}, tellsOf(term, sampler), drawSetting(lane, name, option, { of, about, usual, changed: () => {
      tell();
      changed();
    } }));
  }));
  tell();
  /** @type {HTMLDetailsElement} */
  const group = el("details", { class: "kv-choosing", open: opened.has(lane), ontoggle: () => (group.open ? opened.add(lane) : opened.delete(lane)) },
    el("summary", {}, el("span", {}, "How it chooses"), given), el("p", {}, order(samplers)), el("div", { class: "kv-rules" }, ...pairs));
  return group;
};
