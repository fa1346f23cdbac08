// The break-even sweep: prompt length by new tokens, the speed-up as colour and as text, and the reason for each cell.
import { el, write } from "../base/dom.js";
import { BOUNDS } from "../base/facts.js";
import { format } from "../base/format.js";
import { explain } from "../base/tooltip.js";

/** Half of the full colour is reached here; text on it stays readable at any speed-up. */
const STRONGEST = 50;

/** Blue where the lane is faster than the baseline, red where it is slower; the strength grows with the logarithm. */
const tone = (speedup, reach) => {
  const much = Math.min(1, Math.abs(Math.log(speedup)) / reach) * STRONGEST;
  return `--tone: var(--kv-lane-${speedup >= 1 ? 1 : 0}); --much: ${much.toFixed(1)}%`;
};

export class Sweep {
  constructor() {
    this.chosen = null;
    this.lane = null;
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

  show(document) {
    const { sweep, lanes } = document;
    this.element.hidden = !sweep?.cells.length;
    if (this.element.hidden) return;
    this.names = new Map(lanes.map(({ strategy, name }) => [strategy, name]));
    this.sweep = sweep;
    const others = lanes.map(({ strategy }) => strategy).filter((strategy) => strategy !== sweep.baseline);
    if (!others.includes(this.lane)) this.lane = others[0];
    this.#choices(others);
    write(this.head, this.lane ? `${this.names.get(this.lane)} against ${this.names.get(sweep.baseline)}, by length of the prompt and of the answer` : "");
    this.#draw();
  }

  #choices(others) {
    this.picker.hidden = others.length < 2;
    this.picker.replaceChildren(...others.map((strategy) => el("button", { type: "button", "aria-pressed": String(strategy === this.lane),
      onclick: () => { this.lane = strategy; this.#choices(others); this.#draw(); } }, this.names.get(strategy))));
  }

  #draw() {
    const { cells } = this.sweep;
    const sizes = (key) => [...new Set(cells.map((cell) => cell[key]))].sort((a, b) => a - b);
    const [rows, columns] = [sizes("prompt_tokens"), sizes("new_tokens")];
    const reach = Math.max(Math.log(2), ...cells.map(({ speedup }) => Math.abs(Math.log(speedup[this.lane] ?? 1))));
    const find = (prompt, tokens) => cells.find((cell) => cell.prompt_tokens === prompt && cell.new_tokens === tokens);
    const at = document.activeElement?.getAttribute("data-cell");
    this.grid.replaceChildren(el("table", { class: "kv-grid" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "prompt"),
        ...columns.map((tokens) => el("th", { scope: "col" }, `${format.count(tokens)} new`)))),
      el("tbody", {}, ...rows.map((prompt) => el("tr", {}, el("th", { scope: "row" }, format.count(prompt)),
        ...columns.map((tokens) => el("td", {}, this.#cell(find(prompt, tokens), reach))))))));
    if (at) this.grid.querySelector(`[data-cell="${at}"]`)?.focus();
    this.#explain(find(...(this.chosen ?? [])) ?? find(rows.at(-1), columns.at(-1)) ?? cells.at(-1));
  }

  #cell(cell, reach) {
    if (!cell) return "";
    const times = cell.speedup[this.lane];
    if (times === undefined) return "";
    const button = el("button", { type: "button", class: "kv-cell", style: tone(times, reach), "data-cell": `${cell.prompt_tokens}-${cell.new_tokens}`,
      onclick: () => this.#choose(cell), onfocus: () => this.#choose(cell),
      "aria-label": `${cell.prompt_tokens} prompt tokens, ${cell.new_tokens} new: ${format.times(times)}. ${cell.reason}` },
    format.times(times), el("small", {}, BOUNDS[cell.bound[this.lane]] ?? ""));
    return explain(button, { title: this.#title(cell), text: cell.reason });
  }

  #title(cell) { return `${format.count(cell.prompt_tokens)} prompt tokens, ${format.count(cell.new_tokens)} new`; }

  #choose(cell) {
    this.chosen = [cell.prompt_tokens, cell.new_tokens];
    this.#explain(cell);
  }

  /** A cell in words, with what it was worked out from: the chosen one, or else the last there is. */
  #explain(cell) {
    for (const button of this.grid.querySelectorAll(".kv-cell")) {
      button.setAttribute("aria-pressed", String(button.dataset.cell === `${cell.prompt_tokens}-${cell.new_tokens}`));
    }
    const times = Object.entries(cell.seconds).flatMap(([strategy, seconds]) => [
      el("dt", {}, this.names.get(strategy) ?? strategy),
      el("dd", {}, `${format.seconds(seconds)}${cell.bound[strategy] ? `, bound by ${BOUNDS[cell.bound[strategy]]}` : ""}`),
    ]);
    this.why.replaceChildren(el("h4", {}, this.#title(cell)), el("dl", {}, ...times), el("p", {}, cell.reason));
  }
}
