// Equal up to rounding: cached against uncached logits in each number format, beside the margin that decides; and two experiments.
import { el } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { quote, spell } from "../../base/token_text.js";
import { columnKeys, columnsChart, table, verdict } from "../drawing/columns.js";
import { difference, several } from "../drawing/scale.js";

class Rounding {
  constructor() {
    this.formats = el("div", { class: "kv-formats" });
    this.experiments = el("div", { class: "kv-experiments" });
    this.element = el("div", {}, this.formats, columnKeys([["computed", "largest difference of a token’s score (its logit), with and without a cache"], ["margin", "margin of the best token over the second: where it is more than twice the difference, the token cannot change"]]), this.experiments);
    this.table = el("div", {});
    this.more = [
      el("p", {}, "With a cache, the text is read once and each token is then run alone. Without, all of it is run in one pass, which gives the scores before each of the same tokens."),
      el("p", {}, "A logit is the model’s score of a token; the highest is chosen. With a cache the same numbers are added in another order, and rounded sums depend on the order. "
        + "Another token is chosen only where the difference is larger than the margin: seldom in float32, sooner in 16 bits."),
      this.table,
    ];
  }

  /** @param {inside.RoundingPanel} panel */
  show({ formats, sum, scatter }) {
    this.formats.replaceChildren(...formats.map((one) => ("cannot" in one ? this.#cannot(one) : this.#format(one))));
    this.experiments.replaceChildren(this.#sum(sum), this.#scatter(scatter));
    const shown = formats.flatMap((one) => ("cannot" in one ? [] : [one]));
    this.table.replaceChildren(...shown.map((one) => table(one.dtype, [`${one.dtype}, token`, "with a cache", "without", "difference", "margin"],
      one.steps.map(({ piece, cached, uncached, largest_difference: off, margin }) => [quote(piece), quote(cached), quote(uncached), difference(off), difference(margin)]))));
  }

  /** @param {inside.UnsupportedFormat} one */
  #cannot({ dtype, cannot }) {
    return el("section", { class: "kv-format", "aria-label": dtype }, el("h4", {}, dtype), el("p", { class: "kv-quiet", dir: "auto" }, cannot));
  }

  /** @param {inside.Format} one */
  #format({ dtype, steps, largest_difference: largest }) {
    const departed = steps.filter(({ same }) => !same);
    const [apart] = departed;
    const close = steps.filter(({ same, largest_difference: off, margin }) => same && off > margin).length;
    const text = apart ? `Another token in ${departed.length} of ${several(steps.length, "step")}: ${departed.length > 1 ? "first, " : ""}a difference of ${difference(apart.largest_difference)} met a margin of ${difference(apart.margin)}.`
      : `The same token in each of ${several(steps.length, "step")}: the scores differ by ${difference(largest)} at most.`
        + (close ? ` In ${several(close, "step")} that is more than the margin: the token could have changed, and did not.` : "");
    const columns = steps.map(({ piece, largest_difference: off, margin, same }, i) => ({
      label: String(i + 1), odd: !same, bars: [{ value: off, kind: "computed" }, { value: margin, kind: "margin" }],
      title: `step ${i + 1}, ${quote(piece)}: difference ${difference(off)}, margin ${difference(margin)}${same ? "" : ", another token"}`,
    }));
    return el("section", { class: "kv-format", "aria-label": dtype }, el("h4", {}, dtype), columnsChart({ columns, axis: "step", label: `${dtype}. ${text}`, least: 1e-7 }),
      this.#chosen(steps), verdict(!apart, text));
  }

  /** The tokens that are chosen with a cache, and below them those that are chosen without.
   * @param {inside.LogitStep[]} steps */
  #chosen(steps) {
    /** @type {(name: string, of: (step: inside.LogitStep) => string) => HTMLElement} */
    const row = (name, of) => el("tr", {}, el("th", { scope: "row" }, name),
      ...steps.map((step) => el("td", { "data-odd": String(!step.same), dir: "auto" }, ...spell(of(step)))));
    return el("table", { class: "kv-chosen" }, el("caption", { class: "kv-hidden" }, "The token that is chosen in each step"),
      el("tbody", {}, row("with a cache", ({ cached }) => cached), row("without", ({ uncached }) => uncached)));
  }

  /** @param {inside.SplitSum} sum */
  #sum({ numbers, whole, split, exact, difference: off }) {
    return el("section", { class: "kv-experiment" }, el("h4", {}, "One sum, in two ways"),
      table(`A float32 sum of ${numbers} numbers`, ["", "float32"], [["all at once", String(whole)], ["in two halves", String(split)], ["exactly", String(exact)]]),
      el("p", { class: "kv-quiet" }, `${format.count(numbers)} numbers; the two sums differ by ${difference(Math.abs(off))}. How many positions are computed at once decides how the model’s sums are split, and a cache changes that.`));
  }

  /** @param {inside.ScatterAdd} scatter */
  #scatter({ numbers, slots, runs, results, largest_difference: off, sentence }) {
    return el("section", { class: "kv-experiment" }, el("h4", {}, "The same sum, run again"),
      table(`${numbers} numbers added into ${slots} slots`, ["", ""], [["runs", String(runs)], ["different results", String(results)], ["largest difference", difference(off)]]),
      el("p", { class: "kv-quiet" }, `${format.count(numbers)} numbers are added into ${format.count(slots)} slots (a scatter-add). ${sentence}`));
  }
}

/** @type {import("../panel_frame.js").Panel<"rounding">} */
export const rounding = {
  name: "rounding",
  title: "Equal up to rounding",
  short: "Rounding",
  question: "Why are both texts equal, and when not?",
  lead: "With and without a cache the model computes the same formula, but adds in another order: the scores differ in the last digits, and a token can change only where two candidates are about as close.",
  computes: "logits with and without a cache",
  form: ["prompt", "model", "chat", "max_new_tokens"],
  varied: [],
  make: () => new Rounding(),
};
