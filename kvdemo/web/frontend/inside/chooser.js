// A field for a whole number that a panel varies, with its label; what it says is asked for when it has been entered.
import { el } from "../base/dom.js";

/**
 * @param {import("./panel_frame.js").Host} host the tab
 * @param {string} key the setting
 * @param {{ label?: string }} [how]
 */
export const chooser = (host, key, { label } = {}) => {
  const fact = host.settings.facts[key];
  const input = el("input", { type: "number", min: fact.low, max: fact.high, step: 1, value: host.settings.values[key], inputmode: "numeric", title: fact.about });
  input.addEventListener("change", () => {
    host.vary(key, Number(input.value));
    input.value = String(host.settings.values[key]);
  });
  const element = el("label", { class: "kv-chooser" }, label ?? fact.label, input);
  return {
    element,
    input,
    /** The largest number that this model has.
     * @param {number} most */
    bound: (most) => {
      fact.high = Math.max(fact.low, most);
      input.max = String(fact.high);
    },
  };
};
