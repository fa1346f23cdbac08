// The formulas with this model's numbers: two sliders move the values at once, from the terms; the numbers follow when they rest.
import { el, write } from "../base/dom.js";
import { format } from "../base/format.js";
import { amount, evaluate, several } from "./scale.js";

const REST = 400;
/** The sliders go by doublings: length to 2^20 at most, batch to 2^10. */
const DOUBLINGS = { batch: 10, length: 20 };

class Formulas {
  constructor(host) {
    this.host = host;
    this.batch = this.length = null;
    this.shown = [];
    this.sliders = el("div", { class: "kv-sliders" }, this.#slider("batch"), this.#slider("length"));
    this.list = el("div", { class: "kv-formulas" });
    this.element = el("div", {}, this.sliders, this.list);
    this.about = el("dl", { class: "kv-abouts" });
    this.more = [this.about];
  }

  #slider(key) {
    const { label, about } = this.host.settings.facts[key];
    const value = this.host.settings.values[key];
    const range = el("input", { type: "range", min: "0", max: String(DOUBLINGS[key]), step: "0.25", value: String(Math.log2(value)), "aria-label": label });
    const field = el("input", { type: "number", min: "1", step: "1", value: String(value), "aria-label": `${label}, as a number`, inputmode: "numeric" });
    this[key] = { now: value, range, field };
    range.addEventListener("input", () => this.#move(key, Math.round(2 ** Number(range.value)), field));
    field.addEventListener("change", () => this.#move(key, Math.max(1, Math.round(Number(field.value)) || 1), range));
    return el("div", { class: "kv-slider" }, el("span", {}, el("b", {}, label), el("small", {}, about)), range, field);
  }

  #move(key, value, other) {
    this[key].now = value;
    other.value = other.type === "range" ? String(Math.log2(value)) : String(value);
    this.#tell(key);
    this.#values();
    clearTimeout(this.rest);
    // The numbers in the formulas are Python's to write.
    this.rest = setTimeout(() => { for (const one of ["batch", "length"]) this.host.vary(one, this[one].now); }, REST);
  }

  #tell(key) { this[key].range.setAttribute("aria-valuetext", format.count(this[key].now)); }

  show({ formulas: computed }) {
    this.shown = computed.map((formula) => ({ ...formula, output: el("output", {}) }));
    this.list.replaceChildren(...this.shown.map(({ name, formula, numbers, output, terms }) => el("section", { class: "kv-formula", "aria-label": name },
      el("h4", {}, name), terms.length ? output : null, el("p", { class: "kv-math" }, formula), el("p", { class: "kv-math kv-numbers" }, numbers))));
    this.about.replaceChildren(...this.shown.flatMap(({ name, about }) => [el("dt", {}, name), el("dd", {}, about)]));
    for (const key of ["batch", "length"]) this.#tell(key);
    this.#values();
  }

  #values() {
    const { batch, length } = { batch: this.batch.now, length: this.length.now };
    for (const { output, terms, unit } of this.shown) if (terms.length) write(output, amount(evaluate(terms, batch, length), unit));
    this.list.setAttribute("aria-label", `For ${several(batch, "sequence")} of ${several(length, "position")}`);
  }
}

/** @type {import("./shell.js").Panel} */
export const formulas = {
  name: "formulas",
  title: "The formulas with this model’s numbers",
  question: "What does it cost, and when does it not pay?",
  lead: "The cache turns work that grows with the square of the length into work that grows with the length, and pays for it with memory: move the sliders to see how much of each.",
  form: ["model"],
  varied: ["batch", "length"],
  make: (host) => new Formulas(host),
};
