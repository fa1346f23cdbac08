// The cache at a step: a bar a layer, as long as what the layer keeps, with its shapes and bytes.
import { el, write } from "../base/dom.js";
import { format } from "../base/format.js";
import { Canvas } from "./canvas.js";
import { kept } from "./shapes.js";

const MOST_HEIGHT = 150;

export class CacheGrowth {
  constructor() {
    /** @type {inside.StepsPanel | null} */
    this.panel = null;
    /** What each layer keeps. @type {inside.CacheLayers[]} */
    this.rows = [];
    this.longest = 1;
    this.at = 0;
    this.canvas = new Canvas({ label: "", draw: () => this.draw(this.at),
      colors: { keys: "--kv-lane-1", values: "--kv-lane-2", ground: "--kv-grid", fresh: "--kv-ink" } });
    this.total = el("b", {});
    this.formula = el("span", {});
    this.groups = el("ul", {});
    this.element = el("figure", { class: "kv-growth" }, el("h4", {}, "The cache, a bar a layer"), this.canvas.frame,
      el("figcaption", {}, el("p", {}, this.total, " ", this.formula), this.groups,
        el("div", { class: "kv-partkeys" }, el("span", {}, el("i", { "data-kind": "computed" }), "keys"), el("span", {}, el("i", { "data-kind": "values" }), "values"), el("span", {}, el("i", { "data-kind": "fresh" }), "added in this step"))));
  }

  /** @param {inside.StepsPanel} panel */
  load(panel) {
    this.panel = panel;
    this.rows = panel.caches.flatMap((group) => group.layers.map(() => group));
    this.longest = Math.max(1, ...panel.caches.flatMap(({ lengths }) => lengths));
    this.groups.replaceChildren(...panel.caches.map(() => el("li", {})));
  }

  /** @param {number} at a step */
  draw(at) {
    this.at = at;
    const { canvas, panel } = this;
    if (!panel || !canvas.room) return;
    const { cache_bytes: bytes, formula_bytes: formula } = panel.steps[at];
    write(this.total, format.bytes(bytes));
    write(this.formula, formula === null ? "after this step." : `after this step; the formula gives ${format.bytes(formula)}.`);
    for (const [i, group] of panel.caches.entries()) write(this.groups.children[i], kept(group, at));
    this.#bars(at);
    canvas.describe(`The cache after step ${at + 1}: ${format.bytes(bytes)}. ${panel.caches.map((group) => kept(group, at)).join("; ")}.`);
  }

  /** @param {number} at */
  #bars(at) {
    const { canvas, rows, longest } = this;
    const { context, colors } = canvas;
    const row = Math.max(2, Math.min(14, Math.floor(MOST_HEIGHT / Math.max(1, rows.length))));
    const unit = canvas.room / longest;
    canvas.size(canvas.room, rows.length * row);
    const gap = row > 3 ? 1 : 0;
    for (const [i, group] of rows.entries()) {
      const length = group.lengths[at] * unit;
      const before = at ? group.lengths[at - 1] * unit : 0;
      const half = (row - gap) / 2;
      context.fillStyle = colors.ground;
      context.fillRect(0, i * row, canvas.room, row - gap);
      context.fillStyle = colors.keys;
      context.fillRect(0, i * row, length, half);
      context.fillStyle = colors.values;
      context.fillRect(0, i * row + half, length, half);
      context.fillStyle = colors.fresh;
      if (at && length > before) context.fillRect(before, i * row, Math.max(1.5, length - before), row - gap);
    }
  }
}
