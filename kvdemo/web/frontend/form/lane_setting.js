// The control of one setting of a lane: a field for a number, a list for words.
import { el } from "../base/dom.js";
import { format } from "../base/format.js";

/** What a setting may be, in words, and what it is where nothing is set.
 * @type {(option: StrategyOption, usual: string) => string} */
export const bounds = ({ low, high, choices }, usual) => {
  const range = choices.length ? choices.join(", ") : high >= 1e6 ? `${format.count(low)} or more` : `${format.count(low)} to ${format.count(high)}`;
  return `${range}; ${usual} if nothing is set.`;
};

/** @type {(option: StrategyOption, written: string) => boolean} */
const fits = ({ low, high, choices, whole }, written) => {
  if (choices.length) return choices.includes(written);
  const number = Number(written);
  return Number.isFinite(number) && number >= low && number <= high && (!whole || Number.isInteger(number));
};

/** A list of words; one that a link has brought and that is not among them stays, for the race to refuse.
 * @type {(option: StrategyOption, written: string, known: Attributes) => HTMLSelectElement} */
const select = ({ choices, default: value }, written, known) => {
  const chosen = written || String(value);
  const words = choices.includes(chosen) ? choices : [...choices, chosen];
  return el("select", known, ...words.map((word) => el("option", { value: word, selected: word === chosen }, word)));
};

/**
 * The control. `of` is what the lane is called, `about` explains the setting, and `usual` stands where nothing is set;
 * `changed` is called when the lane has a new value.
 * @param {PickedLane} lane
 * @param {string} name
 * @param {StrategyOption} option
 * @param {{ of: string, about: string, usual: string, changed: () => void }} how
 */
export const drawSetting = (lane, name, option, { of, about, usual, changed }) => {
  const written = lane.values[name] ?? "";
  const known = { class: "kv-setting", "aria-label": `${option.label} of ${of}`, "aria-description": about, "data-setting": name };
  const control = option.choices.length ? select(option, written, known)
    : el("input", { ...known, type: "text", inputmode: option.whole ? "numeric" : "decimal", autocomplete: "off", value: written, placeholder: usual,
      style: `--wide: ${Math.max(usual.length, 3)}ch` });
  const judge = () => control.setAttribute("aria-invalid", String(control.value !== "" && !fits(option, control.value)));
  control.addEventListener("input", () => {
    // What would end the setting in a spec is no part of a number.
    lane.values[name] = control.value.replace(/[,:=\s]/g, "");
    judge();
    changed();
  });
  judge();
  return control;
};
