// The scrubber: play, pause, drag, arrow keys. It says at which step it is, once a frame at most.
import { el, write } from "../../base/dom.js";
import { nextFrame } from "../../shell/idle.js";
import { pace } from "./pace.js";

export class Player {
  /** @param {{ move: (step: number) => void, rest: (step: number) => void }} how both are told a step, from 0 */
  constructor({ move, rest }) {
    this.move = move;
    this.rest = rest;
    this.count = 1;
    this.at = 0;
    this.since = 0;
    /** The frame that is asked for while it plays. @type {number | null} */
    this.frame = null;
    this.button = el("button", { type: "button", class: "kv-button kv-play", onclick: () => this.toggle() });
    this.back = el("button", { type: "button", class: "kv-button", "aria-label": "One step back", onclick: () => this.step(-1) }, "‹");
    this.on = el("button", { type: "button", class: "kv-button", "aria-label": "One step on", onclick: () => this.step(1) }, "›");
    this.range = el("input", { type: "range", min: "1", value: "1", "aria-label": "Step" });
    this.label = el("output", { class: "kv-at" });
    this.range.addEventListener("input", () => {
      const at = Number(this.range.value) - 1;
      this.pause();
      this.go(at);
    });
    this.range.addEventListener("change", () => this.rest(this.at));
    this.range.addEventListener("keydown", (event) => {
      if (event.key !== " ") return;
      event.preventDefault();
      this.toggle();
    });
    this.element = el("div", { class: "kv-player", role: "group", "aria-label": "Step through the run" },
      this.button, this.back, this.range, this.on, this.label);
    this.#say();
  }

  get playing() { return this.frame !== null; }

  /** A run of so many steps, at one of them.
   * @type {(count: number, at: number) => void} */
  load(count, at) {
    this.pause();
    this.count = count;
    this.range.max = String(count);
    this.at = Math.min(count - 1, Math.max(0, at));
    this.#say();
  }

  /** The same run has so many steps by now; it goes on playing.
   * @param {number} count */
  extend(count) {
    this.count = count;
    this.range.max = String(count);
    this.#say();
  }

  /** @param {number} at a step, from 0 */
  go(at) {
    this.at = Math.min(this.count - 1, Math.max(0, at));
    this.#say();
    this.move(this.at);
  }

  /** @param {number} by how many steps on */
  step(by) {
    this.pause();
    this.go(this.at + by);
    this.rest(this.at);
  }

  toggle() {
    if (this.playing) return this.pause(true);
    if (this.at === this.count - 1) this.go(0);
    this.since = performance.now();
    this.frame = nextFrame((now) => this.#play(now));
    this.#say();
  }

  pause(resting = false) {
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    this.frame = null;
    this.#say();
    if (resting) this.rest(this.at);
  }

  /** @param {number} now the frame's time, in ms */
  #play(now) {
    const due = Math.floor((now - this.since) / pace(this.count));
    if (due > 0) {
      this.since += due * pace(this.count);
      this.go(this.at + due);
    }
    // A panel that is not on show any more is not drawn.
    if (this.at === this.count - 1 || !this.element.offsetParent) return this.pause(true);
    this.frame = nextFrame((next) => this.#play(next));
  }

  #say() {
    write(this.button, this.playing ? "Pause" : "Play");
    this.range.value = String(this.at + 1);
    this.range.setAttribute("aria-valuetext", `Step ${this.at + 1} of ${this.count}`);
    write(this.label, `step ${this.at + 1} of ${this.count}`);
    this.back.disabled = this.at === 0;
    this.on.disabled = this.at === this.count - 1;
  }
}
