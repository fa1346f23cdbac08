// The cache at a step: a bar a layer for its keys and one for its values, as long as what it keeps, with shapes and bytes.
import { el, write } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { Canvas } from "../drawing/canvas.js";
import { kept } from "../drawing/shapes.js";

const MOST_HEIGHT = 150;
/** Pixels between the keys and the values. */
const BETWEEN = 10;

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
    this.element = el("figure", { class: "kv-growth" }, el("h4", {}, "The cache: keys and values of each layer"), this.canvas.frame,
      el("figcaption", {}, el("p", {}, this.total, " ", this.formula), this.groups,
        el("p", { class: "kv-quiet" }, "A shape is (texts, key and value heads, positions, numbers of a head): a step adds a position."),
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
    const half = (canvas.room - BETWEEN) / 2;
    canvas.size(canvas.room, rows.length * row);
    const tall = row - (row > 3 ? 1 : 0);
    for (const [i, group] of rows.entries()) {
      const length = (group.lengths[at] / longest) * half;
      const before = at ? (group.lengths[at - 1] / longest) * half : 0;
      for (const { left, color } of [{ left: 0, color: colors.keys }, { left: half + BETWEEN, color: colors.values }]) {
        context.fillStyle = colors.ground;
        context.fillRect(left, i * row, half, tall);
        context.fillStyle = color;
        context.fillRect(left, i * row, length, tall);
        context.fillStyle = colors.fresh;
        if (at && length > before) context.fillRect(left + before, i * row, Math.max(1.5, length - before), tall);
      }
    }
  }
}
