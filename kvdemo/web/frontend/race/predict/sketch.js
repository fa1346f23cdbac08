// A sheet over the chart on which the expected latency of two lanes is drawn: by pointer, or point by point with the arrow keys.
import { laneColor } from "../../base/colors.js";
import { el } from "../../base/dom.js";

const POINTS = 7;
/** Where the curves lie until somebody draws: they are no guess. */
const START = [60, 30];
/** What a key adds to a point's height. @type {Record<string, number>} */
const UP = { ArrowUp: 3, ArrowDown: -3, PageUp: 15, PageDown: -15, Home: -100, End: 100 };
/** How many points further a key goes. @type {Record<string, number>} */
const ASIDE = { ArrowLeft: -1, ArrowRight: 1 };
const SVG = "http://www.w3.org/2000/svg";

/** @type {(tag: string, attributes: Record<string, string>) => SVGElement} */
const svg = (tag, attributes) => {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

/** @param {number} height from 0, the ground, to 100 */
const bounded = (height) => Math.round(Math.min(100, Math.max(0, height)));
/** How far across the sheet a point stands, in per cent.
 * @param {number} point */
const place = (point) => (100 * point) / (POINTS - 1);

/** One lane's curve. */
class Curve {
  /** @param {number} index the lane */
  constructor(index) {
    this.index = index;
    this.touched = false;
    this.heights = Array(POINTS).fill(START[index]);
    this.line = svg("polyline", { fill: "none", "vector-effect": "non-scaling-stroke", style: `stroke: var(${laneColor(index)})` });
    this.handles = this.heights.map((_, point) => el("button", { type: "button", role: "slider", class: "kv-handle", "aria-orientation": "vertical", "aria-valuemin": 0,
      "aria-valuemax": 100, style: `--lane: var(${laneColor(index)}); left: ${place(point)}%`, onkeydown: (event) => this.#key(event, point) }));
    this.draw();
  }

  /** Names the lane to screen readers.
   * @param {string} name */
  name(name) {
    for (const [point, handle] of this.handles.entries()) handle.setAttribute("aria-label", `Expected latency of ${name}, ${Math.round(place(point))} % through`);
  }

  /** Draws a point at a height.
   * @param {number} point
   * @param {number} height */
  set(point, height) {
    this.touched = true;
    this.heights[point] = bounded(height);
    this.draw();
  }

  /** @param {KeyboardEvent} event @param {number} point */
  #key(event, point) {
    const up = UP[event.key];
    const aside = ASIDE[event.key];
    if (!up && !aside) return;
    event.preventDefault();
    if (aside) this.handles[Math.min(POINTS - 1, Math.max(0, point + aside))].focus();
    else this.set(point, this.heights[point] + up);
  }

  draw() {
    this.line.setAttribute("points", this.heights.map((height, point) => `${place(point)},${100 - height}`).join(" "));
    this.line.classList.toggle("kv-untouched", !this.touched);
    for (const [point, handle] of this.handles.entries()) {
      handle.style.bottom = `${this.heights[point]}%`;
      handle.setAttribute("aria-valuenow", String(this.heights[point]));
    }
  }
}

export class Sketch {
  /** @param {(index: number) => void} chosen told which lane the pointer draws */
  constructor(chosen) {
    this.chosen = chosen;
    this.curves = [0, 1].map((index) => new Curve(index));
    this.active = this.curves[0];
    this.lines = svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.lines.append(...this.curves.map(({ line }) => line));
    this.sheet = el("div", { class: "kv-sheetarea" }, this.lines, ...this.curves.flatMap(({ handles }) => handles));
    this.element = el("div", { class: "kv-sketch", role: "group", "aria-label": "Your expected latency, token by token" },
      el("span", { class: "kv-slower" }, "slower ↑"), this.sheet,
      el("span", { class: "kv-sketchends" }, el("span", {}, "second token"), el("span", {}, "last token")));
    this.sheet.addEventListener("pointerdown", (event) => this.#begin(event));
    this.sheet.addEventListener("pointermove", (event) => this.sheet.hasPointerCapture(event.pointerId) && this.#trace(event));
  }

  /** @param {PointerEvent} event */
  #begin(event) {
    event.preventDefault();
    const held = this.curves.find(({ handles }) => handles.some((handle) => handle === event.target));
    if (held) this.choose(held.index);
    if (event.target instanceof HTMLElement && held) event.target.focus();
    this.sheet.setPointerCapture(event.pointerId);
    this.#trace(event);
  }

  /** @param {PointerEvent} event */
  #trace({ clientX, clientY }) {
    const { left, bottom, width, height } = this.sheet.getBoundingClientRect();
    const point = Math.min(POINTS - 1, Math.max(0, Math.round(((clientX - left) / width) * (POINTS - 1))));
    this.active.set(point, ((bottom - clientY) / height) * 100);
  }

  /** Has the pointer draw a lane.
   * @param {number} index */
  choose(index) {
    this.active = this.curves[index];
    this.chosen(index);
  }

  /** @param {string[]} names */
  name(names) { for (const [i, curve] of this.curves.entries()) curve.name(names[i]); }

  /** The curves that were drawn; null for one that was left alone. */
  get guess() { return this.curves.map(({ touched, heights }) => (touched ? [...heights] : null)); }

  clear() {
    for (const curve of this.curves) {
      Object.assign(curve, { touched: false, heights: Array(POINTS).fill(START[curve.index]) });
      curve.draw();
    }
  }
}
