// "How it chooses": the samplers' settings of a lane, folded into a line that says what the lane gives.
import { el, write } from "../base/dom.js";
import { chosenBy } from "../base/lane_spec.js";
import { late } from "../base/lazy_scripts.js";

/** The lanes whose settings were opened, so that a list that is drawn again leaves them open. @type {WeakSet<PickedLane>} */
const opened = new WeakSet();

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
  const inside = el("div", {});
  // A lane has a dozen of them, and most lanes are left as they are: they are drawn when they are to be seen.
  const fill = async () => {
    const rules = await late(async () => await import("./rules.js"), fill);
    if (!rules || inside.childElementCount) return;
    inside.append(...rules.drawRules(lane, samplers, { of, changed: () => {
      tell();
      changed();
    } }));
  };
  tell();
  const toggled = () => {
    if (!group.open) return opened.delete(lane);
    opened.add(lane);
    return fill();
  };
  /** @type {HTMLDetailsElement} */
  const group = el("details", { class: "kv-choosing", open: opened.has(lane), ontoggle: toggled },
    el("summary", {}, el("span", {}, "How it chooses"), given), inside);
  return group;
};
