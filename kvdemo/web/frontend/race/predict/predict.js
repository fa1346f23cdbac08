// Predict, then run: on request, a guess before the race and how close it came after it. It stays in this page.
import { laneColor } from "../../base/colors.js";
import { el, find } from "../../base/dom.js";
import { setAddress } from "../../shell/tabs.js";
import { outcome, scaled } from "./guess.js";
import { Sketch } from "./sketch.js";

/** @typedef {import("../wire.js").Race} Race */

const PARAMETER = "predict";
const LOWEST = 0.25;
const HIGHEST = 16;
/** Where a number of times stands on the slider: its logarithm, in hundredths.
 * @param {number} times */
const steps = (times) => Math.round(100 * Math.log2(times));

export class Predict {
  /** @param {import("../chart.js").RaceChart} chart */
  constructor(chart) {
    this.chart = chart;
    /** @type {string[]} */
    this.names = [];
    /** The number that was guessed so far. @type {number | null} */
    this.times = null;
    /** The race that the guess is for, once it was pressed. @type {import("./guess.js").Guess | null} */
    this.guess = null;
    this.toggle = el("button", { type: "button", class: "kv-predict", "aria-pressed": "false", onclick: () => this.#turn(!this.on) }, "Predict first");
    this.sketch = new Sketch((index) => this.#pressed(index));
    this.number = el("input", { type: "number", min: LOWEST, max: 1000, step: 0.1, placeholder: "?", inputmode: "decimal", "aria-label": "Your guess: times as fast" });
    this.range = el("input", { type: "range", min: steps(LOWEST), max: steps(HIGHEST), value: 0, "aria-label": "Your guess on a slider" });
    this.number.addEventListener("input", () => this.#set(Number(this.number.value), this.range));
    this.range.addEventListener("input", () => this.#set(Number((2 ** (this.range.valueAsNumber / 100)).toFixed(1)), this.number));
    this.ask = el("p", {});
    this.pens = el("div", { class: "kv-segments", role: "group", "aria-label": "The lane that you draw" });
    this.said = el("ul", { class: "kv-outcome" });
    this.form = el("div", { class: "kv-guessform" }, this.ask);
    this.again = el("button", { type: "button", class: "kv-button", onclick: () => this.#anew() }, "Guess again");
    this.result = el("div", { class: "kv-guessresult", role: "status", hidden: true }, this.said, this.again);
    this.panel = el("div", { class: "kv-guess", hidden: true }, this.form, this.result);
    this.on = false;
    /** Whether the chart has a race, and whether the reader asked to draw over it. */
    this.raced = this.drawing = false;
    const { head, frame } = chart.chart;
    head.insertBefore(this.toggle, find(head, ".kv-segments"));
    head.after(this.panel);
    frame.append(this.sketch.element);
    this.#turn(new URLSearchParams(location.search).get(PARAMETER) === "1", false);
  }

  /** Turns predicting on or off. `told` is whether the address says so.
   * @param {boolean} on */
  #turn(on, told = true) {
    this.on = on;
    this.toggle.setAttribute("aria-pressed", String(on));
    if (told) setAddress({ [PARAMETER]: on ? "1" : null });
    if (!on) this.chart.guess([]);
    this.#reset();
  }

  /** The lanes that will run, the first two of which are guessed about.
   * @param {string[]} names */
  name(names) {
    this.names = names.slice(0, 2);
    if (this.names.length === 2) this.#write();
    else this.form.replaceChildren(el("p", {}, "Choose two lanes to predict how they compare."));
    this.#lay();
  }

  #write() {
    const [baseline, other] = this.names;
    this.ask.replaceChildren("How many times as fast as ", el("b", {}, baseline), " will ", el("b", {}, other), " be?");
    this.pens.replaceChildren(...this.names.map((name, index) => el("button", { type: "button", style: `--lane: var(${laneColor(index)})`,
      "aria-pressed": String(this.sketch.active.index === index), onclick: () => this.#draw(index) }, el("i", { class: "kv-swatch", "aria-hidden": "true" }), name)));
    this.sketch.name(this.names);
    this.form.replaceChildren(el("div", { class: "kv-asked" }, this.ask, this.range, this.number, el("span", {}, "×")),
      el("div", { class: "kv-asked" }, el("p", {}, "Below, draw what each token will take, in no unit; or leave it. Draw:"), this.pens));
  }

  /** Lays the sheet over the chart, for a lane.
   * @param {number} index */
  #draw(index) {
    this.drawing = true;
    this.sketch.choose(index);
    this.#lay();
  }

  /** @param {number} index the lane that the pointer draws */
  #pressed(index) { for (const [i, pen] of [...this.pens.children].entries()) pen.setAttribute("aria-pressed", String(i === index)); }

  /** Takes a number, and shows it in the other control too.
   * @param {number} times
   * @param {HTMLInputElement} other */
  #set(times, other) {
    this.times = times > 0 && Number.isFinite(times) ? times : null;
    if (this.times !== null) other.value = other === this.range ? String(steps(this.times)) : String(this.times);
  }

  /** What can be seen: the question before a race, what came of it after one. */
  #lay() {
    const asking = this.on && !this.guess;
    this.panel.hidden = !this.on || (Boolean(this.guess) && this.result.hidden);
    this.form.hidden = !asking;
    // The sheet would hide what the last race measured: it comes when a lane to draw is chosen.
    this.sketch.element.hidden = !asking || this.names.length < 2 || (this.raced && !this.drawing);
  }

  #reset() {
    this.guess = this.times = null;
    this.drawing = false;
    this.number.value = "";
    this.range.value = "0";
    this.sketch.clear();
    this.result.hidden = true;
    this.chart.guess([]);
    this.#lay();
  }

  /** The reader asks for another guess: the sheet comes back. */
  #anew() {
    this.#reset();
    this.drawing = true;
    this.#lay();
  }

  /** A race begins: what was guessed by now counts. */
  start() {
    this.raced = this.drawing = false;
    if (!this.on || this.guess) this.#reset();
    if (!this.on) return;
    this.guess = { times: this.times, curves: this.sketch.guess };
    this.#lay();
  }

  /** A race is over: says how close the guess came, and shows what was drawn beside what was measured.
   * @param {Race} race */
  finish(race) {
    this.raced = true;
    this.#lay();
    if (!this.guess || !this.result.hidden) return;
    const lanes = race.lanes.slice(0, 2);
    const said = outcome(this.guess, lanes, lanes[1] ? race.speedup(lanes[1])?.times ?? null : null);
    // The sheet would cover what was measured, so it comes back on request alone.
    if (!said.length) said.push("No guess was made for this race.");
    const lines = scaled(this.guess, lanes);
    if (lines.length) said.push("What you drew has no unit: dashed, it stands in the chart at one scale, the one that fits the measured times best on the whole.");
    this.said.replaceChildren(...said.map((text) => el("li", {}, text)));
    this.result.hidden = false;
    this.chart.guess(lines.map(({ lane, ...line }) => ({ ...line, color: laneColor(lane) })));
    this.#lay();
  }
}
