// What a value is made of, as bars: those of one unit stand on one scale, so that with and without a cache can be compared.
import { el, write } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { columnKeys } from "./columns.js";
import { amount, evaluate } from "./scale.js";

/** @typedef {NonNullable<inside.Term["part"]>} PartName */
/** The parts in the order in which they stand, and what they are called. @type {[PartName, string][]} */
const PARTS = [["weights", "the weights"], ["attention", "attention: queries with keys and values"], ["cache", "the cache"]];
/** A bar: its formula, a segment a part, and its value in words.
 * @typedef {{ formula: inside.Formula, segments: Map<PartName, HTMLElement>, said: HTMLElement, bar: HTMLElement }} Row */

/** A share in words: what is short of all of it is not told as all of it.
 * @param {number} part */
const share = (part) => (part >= 0.995 && part < 1 ? "over 99 %" : format.percent(part));

export class Stacks {
  constructor() {
    /** @type {Row[]} */
    this.rows = [];
    this.list = el("div", {});
    this.keys = el("div", {});
    this.element = el("figure", { class: "kv-stacks" }, this.list, this.keys);
  }

  /** @param {inside.Formula[]} formulas */
  load(formulas) {
    this.rows = formulas.filter(({ terms }) => terms.some(({ part }) => part)).map((formula) => {
      const segments = new Map(PARTS.filter(([name]) => formula.terms.some(({ part }) => part === name)).map(([name]) => [name, el("i", { "data-kind": name })]));
      return { formula, segments, said: el("span", {}), bar: el("div", { role: "img" }, ...segments.values()) };
    });
    this.element.hidden = !this.rows.length;
    this.list.replaceChildren(...this.rows.map(({ formula, bar, said }) => el("section", {}, el("h4", {}, formula.name), bar, said)));
    this.keys.replaceChildren(columnKeys(PARTS.filter(([name]) => this.rows.some(({ segments }) => segments.has(name)))));
  }

  /** @type {(batch: number, length: number) => void} */
  at(batch, length) {
    /** @type {(formula: inside.Formula, part?: PartName) => number} */
    const value = ({ terms }, part) => evaluate(terms.filter((term) => !part || term.part === part), batch, length);
    for (const { formula, segments, said, bar } of this.rows) {
      const most = Math.max(...this.rows.filter((row) => row.formula.unit === formula.unit).map((row) => value(row.formula)));
      const whole = value(formula);
      const shares = [...segments].map(([part, segment]) => {
        segment.style.width = `${(100 * value(formula, part)) / most}%`;
        return `${part} ${share(value(formula, part) / whole)}`;
      });
      // Why the gain may be small: for all positions or for one, a step reads the weights.
      const without = segments.has("cache") ? `; without a cache ${amount(value(formula, "weights"), formula.unit)}` : "";
      write(said, `${amount(whole, formula.unit)}: ${shares.join(", ")}${without}`);
      bar.setAttribute("aria-label", `${formula.name}: ${said.textContent}`);
    }
  }
}
