// Step through decoding: the tokens, the triangle of products, the growing cache and the work of each step, at one step.
import { el, targetOf, write } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { quote, spell } from "../../base/token_text.js";
import { AttentionColors } from "../decoding/attention.js";
import { CacheGrowth } from "../decoding/cache_growth.js";
import { Canvas } from "../drawing/canvas.js";
import { Player } from "../decoding/player.js";
import { amount } from "../drawing/scale.js";
import { cellAt, cellSize, drawTriangle, firstToken, rowsOf, sentence, stepOf, totals } from "../decoding/triangle.js";
import { WorkBars } from "../decoding/work_bars.js";

/** @typedef {import("../decoding/triangle.js").Work} Work */

/** The triangle is never wider than this. */
const WIDEST = 520;
/** The rows of the table, and their keys in a step, with a cache and without. @type {{ name: string, own: Work, all: Work }[]} */
const ROWS = [
  { name: "Positions", own: "positions", all: "positions_all" },
  { name: "Products", own: "products", all: "products_all" },
  { name: "FLOPs", own: "flops", all: "flops_all" },
];
const figure = () => el("td", {}, format.none);

class Steps {
  /** @param {import("../panel_frame.js").Host} host */
  constructor(host) {
    this.host = host;
    /** @type {inside.StepsPanel | null} */
    this.panel = null;
    this.length = 0;
    /** Pixels of a cell of the triangle. */
    this.cell = 0;
    /** A chip a token. @type {HTMLElement[]} */
    this.chips = [];
    /** The rows that are marked as computed; null before any were. @type {{ from: number, to: number } | null} */
    this.drawn = null;
    this.cells = ROWS.map(() => ({ now: figure(), nowAll: figure(), sum: figure(), sumAll: figure() }));
    this.player = new Player({ move: () => this.draw(), rest: () => this.#rest() });
    this.first = el("p", { class: "kv-now kv-answer" });
    this.say = el("p", { class: "kv-now kv-say" });
    this.speech = el("p", { class: "kv-hidden", "aria-live": "polite" });
    this.text = el("div", { class: "kv-run", role: "group", "aria-label": "The tokens; a click goes to the step that reads one", dir: "auto" });
    this.triangle = new Canvas({ label: "", draw: () => this.draw(),
      colors: { computed: "--kv-lane-1", saved: "--kv-line-2", ahead: "--kv-grid", ground: "--kv-bg" } });
    this.pointed = el("p", { class: "kv-quiet", "aria-live": "off" });
    this.attention = new AttentionColors(host, () => this.draw());
    this.cache = new CacheGrowth();
    this.work = new WorkBars((step) => this.#goto(step));
    this.figures = this.#figures();
    this.lane = el("b", {});
    this.handed = el("p", { class: "kv-handed", hidden: true }, "The tokens are those that ", this.lane, " wrote in the race.",
      el("button", { type: "button", class: "kv-button", onclick: () => host.letGo() }, "Have the model write"));
    this.element = el("div", { class: "kv-steps" }, this.first, this.player.element, this.handed, this.say, this.speech, this.text,
      el("div", { class: "kv-stepsgrid" },
        el("figure", { class: "kv-trianglefigure" }, el("h4", {}, "Products of queries and keys"), this.triangle.frame,
          el("figcaption", { class: "kv-partkeys" }, key("computed", "computed in this step"), key("saved", "computed again without a cache"), key("ahead", "later")),
          this.pointed, this.attention.element),
        el("div", { class: "kv-stepsside" }, this.work.element, this.figures, this.cache.element)));
    this.note = el("p", {});
    /** @type {import("../panel_frame.js").Part} */
    this.part = { name: "attention", title: "The attention weights of a layer and head", short: "Attention",
      element: this.attention.element, open: () => this.attention.open() };
    this.more = [
      el("p", {}, "A product is a query of one position times a key of another, in one head of one layer: the row is the position that asks, the column the one that is looked up. "
        + "No position looks ahead, which leaves a triangle."),
      el("p", {}, "The first step reads the whole text (the prefill), so every row of its triangle is new, and it takes longest. Each later step feeds the token that was just chosen: one row (decode)."),
      this.note,
    ];
    this.#listen();
  }

  #figures() {
    const rows = ROWS.map(({ name }, i) => el("tr", {}, el("th", { scope: "row" }, name), ...Object.values(this.cells[i])));
    return el("table", { class: "kv-work-table" },
      el("caption", { class: "kv-hidden" }, "Work of this step and so far, with and without a cache"),
      el("thead", {},
        el("tr", {}, el("td", {}), el("th", { scope: "colgroup", colspan: 2 }, "this step"), el("th", { scope: "colgroup", colspan: 2 }, "so far")),
        el("tr", {}, el("td", {}), ...["with", "without", "with", "without"].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...rows));
  }

  #listen() {
    const { canvas } = this.triangle;
    canvas.addEventListener("pointermove", (event) => this.#point(event));
    canvas.addEventListener("pointerleave", () => write(this.pointed, ""));
    canvas.addEventListener("click", (event) => {
      const at = cellAt(event.offsetX, event.offsetY, this.cell, this.length);
      if (at && this.panel) this.#goto(stepOf(this.panel.steps, at.query));
    });
    this.text.addEventListener("click", (event) => {
      const chip = targetOf(event, "button");
      const at = chip ? this.chips.indexOf(chip) : -1;
      if (at >= 0 && this.panel) this.#goto(stepOf(this.panel.steps, at));
    });
  }

  /** @param {number} step */
  #goto(step) {
    this.player.pause();
    this.player.go(step);
    this.#rest();
  }

  /** @param {PointerEvent} event */
  #point({ offsetX, offsetY }) {
    const at = cellAt(offsetX, offsetY, this.cell, this.length);
    if (!this.panel || !at) return write(this.pointed, "");
    const { pieces, steps } = this.panel;
    const weight = this.attention.weight(at);
    write(this.pointed, `query of ${quote(pieces[at.query])} × key of ${quote(pieces[at.key])}, first computed in step ${stepOf(steps, at.query) + 1}`
      + (weight === null ? "" : `: reads ${format.percent(weight)} of it`));
  }

  /** @param {inside.StepsPanel} panel */
  show(panel) {
    const { steps, pieces, tokens, prompt_tokens: prompt } = panel;
    const going = this.panel?.tokens.every((token, i) => token === tokens[i]);
    this.panel = panel;
    const last = steps[steps.length - 1];
    this.length = last.length;
    this.chips = pieces.map((piece, position) => el(
      "button", { type: "button", tabindex: "-1", "data-part": position < prompt ? "prompt" : "new" }, ...spell(piece)));
    this.text.replaceChildren(...this.chips);
    this.drawn = null;
    this.work.load(steps);
    this.cache.load(panel);
    this.attention.load();
    const { totals: formula } = panel;
    write(this.note, panel.attends
      ? `Over the whole run ${format.count(last.products_all_so_far)} products without a cache and ${format.count(last.products_so_far)} with, in each head of each layer; `
        + `the closed forms give ${format.count(formula.products_all)} and ${format.count(formula.products)}.`
      : panel.note ?? "");
    this.handed.hidden = !this.host.settings.continuation.length;
    write(this.lane, this.host.lane);
    write(this.first, firstToken(steps, panel.ended !== null));
    // More steps of the run that is being played do not stop it.
    if (going && this.player.playing) this.player.extend(steps.length);
    else this.player.load(steps.length, (this.host.settings.step ?? 1) - 1);
    this.draw();
    this.#describe();
  }

  #rest() {
    this.host.settings.at({ step: this.player.at + 1, panel: "steps" });
    if (this.panel) write(this.speech, sentence(this.panel.steps, this.player.at));
    this.#describe();
  }

  #describe() {
    if (!this.panel) return;
    const { steps } = this.panel;
    const { from, to } = rowsOf(steps[this.player.at]);
    this.triangle.describe(`Triangle of ${this.length} rows. This step computes ${to - from === 1 ? `row ${to}` : `rows ${from + 1} to ${to}`}; `
      + `the ${from} above were computed before. ${sentence(steps, this.player.at)}`);
  }

  /** Everything as it is at the player's step; up to 30 times a second. */
  draw() {
    const { panel, player, triangle } = this;
    if (!panel) return;
    const step = panel.steps[player.at];
    write(this.say, sentence(panel.steps, player.at));
    this.#marks(step);
    this.cell = cellSize(this.length, Math.min(WIDEST, triangle.room));
    const size = Math.ceil(this.cell * this.length);
    triangle.size(size, size);
    drawTriangle(triangle.context, { length: this.length, cell: this.cell, step, colors: triangle.colors, weights: this.attention.picture(triangle.colors.computed) });
    this.work.draw(player.at);
    this.cache.draw(player.at);
    for (const [i, { own, all }] of ROWS.entries()) {
      const { now, nowAll, sum, sumAll } = this.cells[i];
      write(now, amount(step[own], ""));
      write(nowAll, amount(step[all], ""));
      write(sum, amount(totals(panel.steps, player.at, own), ""));
      write(sumAll, amount(totals(panel.steps, player.at, all), ""));
    }
  }

  /** Which tokens are read, are fed now, were chosen now: only the chips that changed are touched.
   * @param {inside.DecodingStep} step */
  #marks({ length, positions }) {
    const from = this.drawn === null ? 0 : Math.min(this.drawn.from, length - positions);
    const to = this.drawn === null ? this.chips.length : Math.min(this.chips.length, Math.max(this.drawn.to, length) + 1);
    for (let at = from; at < to; at += 1) {
      const state = at < length - positions ? "read" : at < length ? "fed" : at === length ? "chosen" : "ahead";
      if (this.chips[at].dataset.state !== state) this.chips[at].dataset.state = state;
    }
    this.drawn = { from: length - positions, to: length };
    const chip = this.chips[Math.min(length, this.chips.length - 1)];
    const [top, bottom] = [chip.offsetTop, chip.offsetTop + chip.offsetHeight];
    if (top < this.text.scrollTop) this.text.scrollTop = top - 4;
    else if (bottom > this.text.scrollTop + this.text.clientHeight) this.text.scrollTop = bottom - this.text.clientHeight + 4;
  }
}

/** @type {(kind: string, text: string) => HTMLElement} */
const key = (kind, text) => el("span", {}, el("i", { "data-kind": kind }), text);

/** @type {import("../panel_frame.js").Panel<"steps">} */
export const steps = {
  name: "steps",
  title: "Step through decoding",
  short: "Steps",
  question: "Why is the first token slow, and what is kept?",
  lead: "The first step computes the whole text, so it takes longest, and keeps the key and value of each position in each layer; each later one computes the newest position alone, because its query is multiplied with the keys that were kept, and that is one new row.",
  computes: "the steps of a run",
  form: ["prompt", "model", "chat", "max_new_tokens"],
  varied: [],
  make: (host) => new Steps(host),
};
