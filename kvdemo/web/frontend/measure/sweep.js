// The break-even sweep: prompt length by new tokens, the speed-up as colour and as text, and the reason for each cell.
import { el, find, write } from "../base/dom.js";
import { BOUNDS } from "../base/python_constants.js";
import { format } from "../base/format.js";
import { explain } from "../base/explain/tooltip.js";

/** Half of the full colour is reached here; text on it stays readable at any speed-up. */
const STRONGEST = 50;

/** Blue where the lane is faster than the baseline, red where it is slower; the strength grows with the logarithm.
 * @type {(speedup: number, reach: number) => string} */
const tone = (speedup, reach) => {
  const much = Math.min(1, Math.abs(Math.log(speedup)) / reach) * STRONGEST;
  return `--tone: var(--kv-lane-${speedup >= 1 ? 1 : 0}); --much: ${much.toFixed(1)}%`;
};

export class Sweep {
  constructor() {
    /** The sweep that is drawn. @type {measure.Sweep | null} */
    this.sweep = null;
    /** The lanes' names by strategy. @type {Map<string, string>} */
    this.names = new Map();
    /** The cell in words: its prompt tokens and new tokens. @type {[number, number] | null} */
    this.chosen = null;
    /** The lane that is compared with the baseline. @type {string | undefined} */
    this.lane = undefined;
    this.grid = el("div", {});
    this.why = el("div", { class: "kv-why-cell", "aria-live": "polite" });
    this.picker = el("div", { class: "kv-segments", role: "group", "aria-label": "Lane" });
    this.head = el("p", {});
    this.element = el("section", { class: "kv-block kv-sweep", "aria-label": "Break-even sweep" },
      el("header", {}, el("h3", {}, "Where the cache pays"), this.head, this.picker),
      el("div", { class: "kv-landscape" }, el("div", {}, this.grid, this.#key()), this.why));
  }

  #key() {
    return el("p", { class: "kv-tones" }, "slower", el("i", { "aria-hidden": "true" }), "faster than the baseline");
  }

  /** @param {DrawnMeasurement} document */
  show({ sweep, lanes }) {
    this.element.hidden = !sweep?.cells.length;
    if (!sweep?.cells.length) return;
    this.names = new Map(lanes.map(({ strategy, name }) => [strategy, name]));
    this.sweep = sweep;
    const others = lanes.map(({ strategy }) => strategy).filter((strategy) => strategy !== sweep.baseline);
    if (!others.some((strategy) => strategy === this.lane)) this.lane = others[0];
    this.#choices(others);
    write(this.head, this.lane ? `${this.#name(this.lane)} against ${this.#name(sweep.baseline)}, by length of the prompt and of the answer` : "");
    this.#draw(sweep);
  }

  /** @param {string} strategy */
  #name(strategy) { return this.names.get(strategy) ?? strategy; }

  /** @param {string[]} others */
  #choices(others) {
    this.picker.hidden = others.length < 2;
    this.picker.replaceChildren(...others.map((strategy) => el("button", { type: "button", "aria-pressed": String(strategy === this.lane),
      onclick: () => { this.lane = strategy; this.#choices(others); if (this.sweep) this.#draw(this.sweep); } }, this.#name(strategy))));
  }

  /** The speed-up of the lane that is shown; null where it means nothing, undefined where it did not run.
   * @param {measure.Cell} cell */
  #speedup(cell) { return this.lane === undefined ? undefined : cell.speedup[this.lane]; }

  /** @param {measure.Sweep} sweep with at least one cell */
  #draw({ cells }) {
    /** @param {"prompt_tokens" | "new_tokens"} key */
    const sizes = (key) => [...new Set(cells.map((cell) => cell[key]))].sort((a, b) => a - b);
    const [rows, columns] = [sizes("prompt_tokens"), sizes("new_tokens")];
    const reach = Math.max(Math.log(2), ...cells.map((cell) => Math.abs(Math.log(this.#speedup(cell) ?? 1))));
    /** @type {(prompt: number, tokens: number) => measure.Cell | undefined} */
    const cellOf = (prompt, tokens) => cells.find((cell) => cell.prompt_tokens === prompt && cell.new_tokens === tokens);
    const at = document.activeElement?.getAttribute("data-cell");
    this.grid.replaceChildren(el("table", { class: "kv-grid" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "prompt"),
        ...columns.map((tokens) => el("th", { scope: "col" }, `${format.count(tokens)} new`)))),
      el("tbody", {}, ...rows.map((prompt) => el("tr", {}, el("th", { scope: "row" }, format.count(prompt)),
        ...columns.map((tokens) => el("td", {}, this.#cell(cellOf(prompt, tokens), reach))))))));
    if (at) find(this.grid, `[data-cell="${at}"]`)?.focus();
    const chosen = this.chosen && cellOf(...this.chosen);
    this.#explain(chosen ?? cellOf(rows[rows.length - 1], columns[columns.length - 1]) ?? cells[cells.length - 1]);
  }

  /** @type {(cell: measure.Cell | undefined, reach: number) => Child} */
  #cell(cell, reach) {
    const times = cell && this.#speedup(cell);
    if (times === undefined || !cell || this.lane === undefined) return null;
    const bound = cell.bound[this.lane];
    const button = el("button", { type: "button", class: "kv-cell", style: tone(times ?? 1, reach), "data-cell": `${cell.prompt_tokens}-${cell.new_tokens}`,
      onclick: () => this.#choose(cell), onfocus: () => this.#choose(cell),
      "aria-label": `${cell.prompt_tokens} prompt tokens, ${cell.new_tokens} new: ${format.times(times)}. ${cell.reason}` },
    format.times(times), el("small", {}, bound ? BOUNDS[bound] : ""));
    return explain(button, { title: this.#title(cell), text: cell.reason });
  }

  /** @param {measure.Cell} cell */
  #title(cell) { return `${format.count(cell.prompt_tokens)} prompt tokens, ${format.count(cell.new_tokens)} new`; }

  /** @param {measure.Cell} cell */
  #choose(cell) {
    this.chosen = [cell.prompt_tokens, cell.new_tokens];
    this.#explain(cell);
  }

  /** A cell in words, with what it was worked out from: the chosen one, or else the last there is.
   * @param {measure.Cell} cell */
  #explain(cell) {
    for (const button of this.grid.querySelectorAll(".kv-cell")) {
      button.setAttribute("aria-pressed", String(button.getAttribute("data-cell") === `${cell.prompt_tokens}-${cell.new_tokens}`));
    }
    const times = Object.entries(cell.seconds).flatMap(([strategy, seconds]) => {
      const bound = cell.bound[strategy];
      return [el("dt", {}, this.#name(strategy)), el("dd", {}, `${format.seconds(seconds)}${bound ? `, bound by ${BOUNDS[bound]}` : ""}`)];
    });
    this.why.replaceChildren(el("h4", {}, this.#title(cell)), el("dl", {}, ...times), el("p", {}, cell.reason));
  }
}
