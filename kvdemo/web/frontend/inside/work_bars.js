// The work of each step, with a cache and without, as bars; the step that is shown is marked.
import { el, write } from "../base/dom.js";
import { Canvas } from "./canvas.js";
import { amount } from "./scale.js";

const HEIGHT = 96;

export class WorkBars {
  constructor(goTo) {
    this.steps = [];
    this.withCache = this.without = this.unit = "";
    this.most = this.step = 1;
    this.at = 0;
    this.title = el("h4", {}, "Work of each step");
    this.canvas = new Canvas({ label: "", draw: () => this.draw(this.at),
      colors: { with: "--kv-lane-1", without: "--kv-lane-0", line: "--kv-ink", base: "--kv-line-2" } });
    this.canvas.canvas.addEventListener("click", ({ offsetX }) => goTo(Math.min(this.steps.length - 1, Math.max(0, Math.floor(offsetX / this.step)))));
    this.element = el("figure", { class: "kv-workbars" }, this.title, this.canvas.frame,
      el("figcaption", { class: "kv-partkeys" }, el("span", {}, el("i", { "data-kind": "without" }), "without a cache"), el("span", {}, el("i", { "data-kind": "computed" }), "with")));
  }

  load(steps) {
    this.steps = steps;
    const known = steps.every(({ flops, flops_all: all }) => flops !== null && all !== null);
    [this.withCache, this.without] = known ? ["flops", "flops_all"] : ["products", "products_all"];
    this.unit = known ? "FLOPs" : "products";
    this.most = Math.max(...steps.map((step) => step[this.without]));
    write(this.title, known ? "Arithmetic of each step" : "Products of each step");
    const last = steps.at(-1);
    this.canvas.describe(`${this.title.textContent}: the first ${amount(steps[0][this.withCache], this.unit)}, the last ${amount(last[this.withCache], this.unit)} with a cache, `
      + `${amount(last[this.without], this.unit)} without.`);
  }

  draw(at) {
    this.at = at;
    const { canvas, steps } = this;
    if (!steps.length || !canvas.room) return;
    const { context, colors } = canvas;
    canvas.size(canvas.room, HEIGHT);
    this.step = Math.min(26, canvas.room / steps.length);
    const gap = this.step > 4 ? 1 : 0;
    const floor = HEIGHT - 6;
    for (const [i, step] of steps.entries()) {
      context.globalAlpha = i <= at ? 1 : 0.28;
      const [x, width] = [i * this.step, Math.max(0.6, this.step - gap)];
      const tall = (step[this.without] / this.most) * (floor - 2);
      const low = Math.max(1, (step[this.withCache] / this.most) * (floor - 2));
      context.fillStyle = colors.without;
      context.fillRect(x, floor - tall, width, tall);
      context.fillStyle = colors.with;
      context.fillRect(x, floor - low, width, low);
    }
    context.globalAlpha = 1;
    context.fillStyle = colors.base;
    context.fillRect(0, floor, steps.length * this.step, 1);
    context.fillStyle = colors.line;
    context.fillRect(at * this.step, floor + 2, Math.max(2, this.step - gap), 3);
  }
}
