// The way from a verdict to the measurement that shows where a cache gains much and where little.
import { el, find, whenThere } from "../../base/dom.js";
import { visitTab } from "../../shell/tabs.js";

/** The preset of Measure that sweeps over lengths, and what holds its button. */
const PRESET = '[data-value="sweep"]';
const PRESETS = "kv-m-presets";
/** The fold that has the lengths, and its head while it is closed. */
const FOLD = "kv-m-sweep";
const CLOSED = "button.label-wrap:not(.open)";
/** So long the form that was just mounted takes to take a preset. */
const MOUNTED = 400;

const choose = () => {
  visitTab("measure");
  whenThere(PRESETS, (row) => setTimeout(() => find(row, PRESET)?.click(), MOUNTED));
  whenThere(FOLD, (fold) => find(fold, CLOSED)?.click());
};

/** A button that opens Measure with its sweep over prompt lengths and token counts filled in. */
export const whereItPays = () => el("button", { type: "button", class: "kv-onward", onclick: choose,
  title: "Opens Measure with a sweep over lengths filled in: Start runs it" }, "When is the gain small? Measure it over lengths ›");
