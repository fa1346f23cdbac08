// The work of each step, with a cache and without, as bars; the step that is shown is marked.
import { el, write } from "../../base/dom.js";
import { Canvas } from "../drawing/canvas.js";
import { amount } from "../drawing/scale.js";

const HEIGHT = 96;

export class WorkBars {
  /** @param {(step: number) => void} goTo */
  constructor(goTo) {
    /** What each step takes with a cache, and without one. @type {{ own: number, all: number }[]} */
    this.bars = [];
    this.most = this.step = 1;
    this.at = 0;
    this.title = el("h4", {}, "Work of each step");
    this.canvas = new Canvas({ label: "", draw: () => this.draw(this.at),
      colors: { with: "--kv-lane-1", without: "--kv-lane-0", line: "--kv-ink", base: "--kv-line-2" } });
    this.canvas.canvas.addEventListener("click", ({ offsetX }) => goTo(Math.min(this.bars.length - 1, Math.max(0, Math.floor(offsetX / this.step)))));
    this.element = el("figure", { class: "kv-workbars" }, this.title, this.canvas.frame,
      el("figcaption", { class: "kv-partkeys" }, el("span", {}, el("i", { "data-kind": "without" }), "without a cache"), el("span", {}, el("i", { "data-kind": "computed" }), "with")));
  }

  /** Shows FLOPs where all steps have them, and products otherwise.
   * @param {inside.DecodingStep[]} steps */
  load(steps) {
    const flops = steps.flatMap(({ flops: own, flops_all: all }) => (own === null || all === null ? [] : [{ own, all }]));
    const known = flops.length === steps.length;
    this.bars = known ? flops : steps.map(({ products: own, products_all: all }) => ({ own, all }));
    const unit = known ? "FLOPs" : "products";
    this.most = Math.max(...this.bars.map(({ all }) => all));
    write(this.title, known ? "Arithmetic of each step" : "Products of each step");
    const [first, last] = [this.bars[0], this.bars[this.bars.length - 1]];
    this.canvas.describe(`${this.title.textContent}: the first ${amount(first.own, unit)}, the last ${amount(last.own, unit)} with a cache, `
      + `${amount(last.all, unit)} without.`);
  }

  /** @param {number} at the step that is marked */
  draw(at) {
    this.at = at;
    const { canvas, bars } = this;
    if (!bars.length || !canvas.room) return;
    const { context, colors } = canvas;
    canvas.size(canvas.room, HEIGHT);
    this.step = Math.min(26, canvas.room / bars.length);
    const gap = this.step > 4 ? 1 : 0;
    const floor = HEIGHT - 6;
    for (const [i, { own, all }] of bars.entries()) {
      context.globalAlpha = i <= at ? 1 : 0.28;
      const [x, width] = [i * this.step, Math.max(0.6, this.step - gap)];
      const tall = (all / this.most) * (floor - 2);
      const low = Math.max(1, (own / this.most) * (floor - 2));
      context.fillStyle = colors.without;
      context.fillRect(x, floor - tall, width, tall);
      context.fillStyle = colors.with;
      context.fillRect(x, floor - low, width, low);
    }
    context.globalAlpha = 1;
    context.fillStyle = colors.base;
    context.fillRect(0, floor, bars.length * this.step, 1);
    context.fillStyle = colors.line;
    context.fillRect(at * this.step, floor + 2, Math.max(2, this.step - gap), 3);
  }
}
