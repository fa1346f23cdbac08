// The formulas with this model's numbers: two sliders move the values at once, from the terms; the numbers follow when they rest.
import { el, write } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { prose } from "../../base/explain/prose.js";
import { Canvas } from "../drawing/canvas.js";
import { amount, evaluate, several } from "../drawing/scale.js";
import { Stacks } from "../drawing/stacks.js";

const REST = 400;
/** The sliders go by doublings: length to 2^20 at most, batch to 2^10. */
const DOUBLINGS = { batch: 10, length: 20 };
const SAYS = { batch: "texts at a time", length: "positions of each text" };
/** Of the small curves, in pixels. */
const HEIGHT = 44;

/** What can be moved. @typedef {"batch" | "length"} Key */
/** A slider and a field for one number. @typedef {{ now: number, range: HTMLInputElement, field: HTMLInputElement, element: HTMLElement }} Control */
/** @type {Key[]} */
const KEYS = ["batch", "length"];

/** By how much a value grows when the length doubles, in words.
 * @type {(terms: inside.Term[], batch: number, length: number) => string} */
const growth = (terms, batch, length) => {
  const times = evaluate(terms, batch, 2 * length) / evaluate(terms, batch, length);
  return times < 1.005 ? "the same for twice the length" : `${format.times(times)} for twice the length`;
};

/** Whether a value is work or memory, whose growth with the length is what a curve is drawn for; a place in the text is not.
 * @param {inside.Formula} formula */
const costs = ({ terms, unit }) => terms.length > 0 && unit !== "";

/** A value over the length, both by doublings; a dot at the length of now. */
class Curve {
  /** @param {inside.Term[]} terms */
  constructor(terms) {
    this.terms = terms;
    this.batch = this.length = 1;
    this.canvas = new Canvas({ label: "", colors: { line: "--kv-lane-1", dot: "--kv-ink" }, draw: () => this.draw() });
  }

  /** @type {(batch: number, length: number) => void} */
  at(batch, length) {
    Object.assign(this, { batch, length });
    this.draw();
  }

  draw() {
    const { canvas, terms, batch } = this;
    if (!canvas.room) return;
    const most = DOUBLINGS.length;
    /** @param {number} doublings */
    const value = (doublings) => Math.log2(Math.max(1, evaluate(terms, batch, 2 ** doublings)));
    // The same scale for all: what stays is flat, what grows with the length rises to the middle, with its square to the top.
    const [low, high] = [value(0), Math.max(value(most), value(0) + 2 * most)];
    /** @type {(doublings: number) => [number, number]} */
    const place = (doublings) => [4 + (doublings / most) * (canvas.room - 8), HEIGHT - 5 - ((value(doublings) - low) / (high - low)) * (HEIGHT - 10)];
    canvas.size(canvas.room, HEIGHT);
    const { context, colors } = canvas;
    context.beginPath();
    for (let i = 0; i <= 2 * most; i += 1) context.lineTo(...place(i / 2));
    context.strokeStyle = colors.line;
    context.lineWidth = 2;
    context.stroke();
    context.beginPath();
    const [x, y] = place(Math.log2(this.length));
    context.arc(x, y, 4, 0, 2 * Math.PI);
    context.fillStyle = colors.dot;
    context.fill();
  }
}

class Formulas {
  /** @param {import("../panel_frame.js").Host} host */
  constructor(host) {
    this.host = host;
    /** @type {Record<Key, Control>} */
    this.controls = { batch: this.#control("batch"), length: this.#control("length") };
    /** @type {(inside.Formula & { output: HTMLElement, grows: HTMLElement, curve: Curve | null })[]} */
    this.shown = [];
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.rest = undefined;
    this.sliders = el("div", { class: "kv-sliders" }, ...KEYS.map((key) => this.controls[key].element));
    this.list = el("div", { class: "kv-formulas" });
    this.stacks = new Stacks();
    this.element = el("div", {}, this.sliders, this.stacks.element, this.list);
    /** @type {HTMLElement[]} */
    this.more = [];
  }

  /** @type {(key: Key) => Control} */
  #control(key) {
    const { label } = this.host.settings.facts[key];
    const value = this.host.settings.values[key];
    const range = el("input", { type: "range", min: "0", max: String(DOUBLINGS[key]), step: "0.25", value: String(Math.log2(value)), "aria-label": label });
    const field = el("input", { type: "number", min: "1", step: "1", value: String(value), "aria-label": `${label}, as a number`, inputmode: "numeric" });
    range.addEventListener("input", () => this.#move(key, Math.round(2 ** Number(range.value)), field));
    field.addEventListener("change", () => this.#move(key, Math.max(1, Math.round(Number(field.value)) || 1), range));
    const element = el("div", { class: "kv-slider" }, el("span", {}, el("b", {}, label), el("small", {}, SAYS[key])), range, field);
    return { now: value, range, field, element };
  }

  /** Takes a value, and shows it in the other control too.
   * @type {(key: Key, value: number, other: HTMLInputElement) => void} */
  #move(key, value, other) {
    this.controls[key].now = value;
    other.value = other.type === "range" ? String(Math.log2(value)) : String(value);
    this.#tell(key);
    this.#values();
    clearTimeout(this.rest);
    // The numbers in the formulas are Python's to write.
    this.rest = setTimeout(() => { for (const one of KEYS) this.host.vary(one, this.controls[one].now); }, REST);
  }

  /** @param {Key} key */
  #tell(key) {
    const { range, now } = this.controls[key];
    range.setAttribute("aria-valuetext", format.count(now));
  }

  /** @param {inside.FormulasPanel} panel */
  show({ formulas: computed }) {
    this.shown = computed.map((formula) => ({ ...formula, output: el("output", {}), grows: el("small", {}), curve: costs(formula) ? new Curve(formula.terms) : null }));
    this.list.replaceChildren(...this.shown.map(({ name, formula, numbers, about, value, output, grows, curve, terms }) => el("section", { class: "kv-formula", "aria-label": name },
      el("h4", {}, name), terms.length || value !== null ? el("p", { class: "kv-value" }, output, grows) : null, curve?.canvas.frame,
      el("p", { class: "kv-quiet" }, ...prose(about)), el("p", { class: "kv-math" }, formula), el("p", { class: "kv-math kv-numbers" }, numbers))));
    for (const key of KEYS) this.#tell(key);
    this.stacks.load(computed);
    this.#values();
  }

  #values() {
    const { batch: { now: batch }, length: { now: length } } = this.controls;
    this.stacks.at(batch, length);
    for (const { name, output, grows, curve, terms, unit, value } of this.shown) {
      write(output, terms.length ? amount(evaluate(terms, batch, length), unit) : value === null ? "" : amount(value, unit));
      if (!curve) continue;
      write(grows, growth(terms, batch, length));
      curve.at(batch, length);
      curve.canvas.describe(`${name} over the length: ${output.textContent} at ${several(length, "position")}, ${grows.textContent}.`);
    }
    this.list.setAttribute("aria-label", `For ${several(batch, "text")} of ${several(length, "position")}`);
  }
}

/** @type {import("../panel_frame.js").Panel<"formulas">} */
export const formulas = {
  name: "formulas",
  title: "The formulas with this model’s numbers",
  short: "Formulas",
  question: "What does it cost, and when does it not pay?",
  lead: "In each step the cache turns work that grows with the square of the length into work that grows with the length. It pays for that with memory. With a short text or on a large GPU it gains little: there the time goes into reading the weights, not into the arithmetic.",
  computes: "the formulas’ numbers",
  form: ["model"],
  varied: ["batch", "length"],
  make: (host) => new Formulas(host),
};
