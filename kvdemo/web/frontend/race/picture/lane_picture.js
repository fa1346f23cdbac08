// What a lane's steps computed and read, as they come: all of them at once, and one of them large, with its counts. The
// one is the step that is marked, or else the newest.
import { el, write } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { mark, unmark } from "../marked_step.js";
import { Pacer } from "../pacer.js";
import { Overview } from "./overview.js";
import { counts, fold, lookOf, rangesOf, sums } from "./ranges.js";
import { drawStep, swatch } from "./rows.js";

/** @typedef {import("../lanes/lane.js").Lane} Lane */
/** @typedef {import("../wire.js").Race} Race */
/** @typedef {import("../lanes/lane.js").Pass} Pass */

/** While steps come it is drawn at most five times a second, and a hundredth of the time as long as that is once a second. */
const PACE = { interval: 200, longest: 1000, share: 0.01 };
/** What stands beside the count of each kind. @type {Record<string, string>} */
const SHORT = {
  computed: "computed", read: "read from the cache", packed: "read, in fewer bits", fetched: "fetched from main memory",
  rejected: "rejected", dropped: "dropped", room: "still free",
};
const { count } = format;

export class LanePicture {
  /** @type {Race | null} */
  race = null;
  /** @type {Lane | null} */
  lane = null;
  /** The token whose step is marked; null for none. @type {number | null} */
  token = null;
  /** Whether the mark is on another lane. */
  faint = false;
  visible = false;
  /** What has ended when it was drawn last: nothing, its lane, and also the race. */
  ended = 0;
  pacer = new Pacer(() => this.draw(), PACE);
  computed = 0;
  whole = 0;
  summed = 0;

  /**
   * @param {{ name: string, strategy: string }} info
   * @param {number} index
   * @param {core.Picture | null} [picture] what its strategy declares
   */
  constructor(info, index, picture) {
    this.index = index;
    this.picture = picture;
    this.overview = new Overview(index);
    this.cursor = el("i", { class: "kv-cursor", hidden: true });
    this.box = el("div", { class: "kv-all", role: "slider", tabindex: "0", "aria-label": `Steps of ${info.name}`, "aria-orientation": "vertical", "aria-valuemin": 1 },
      this.overview.canvas, this.cursor);
    this.prompt = el("span", { class: "kv-promptcells" });
    this.first = el("b", {}, "step 1");
    this.newest = el("b");
    this.step = el("div", { class: "kv-one", "aria-hidden": "true" });
    this.now = el("p", { class: "kv-stepsaid" });
    this.sum = el("p", { class: "kv-sum" });
    this.element = el("figure", { class: "kv-live", hidden: true },
      el("div", { class: "kv-steprows", "aria-hidden": "true" },
        el("div", { class: "kv-step kv-stepcolumns" }, el("b"), el("div", { class: "kv-cellrow" }, this.prompt, el("span", {}, "new tokens")))),
      el("div", { class: "kv-overview" }, el("div", { "aria-hidden": "true" }, this.first, this.newest), this.box),
      this.step, el("figcaption", {}, this.now, this.sum));
    this.#listen();
  }

  #listen() {
    const { box } = this;
    const point = (/** @type {PointerEvent} */ event) => this.#mark(this.overview.rowAt(event.clientY - box.getBoundingClientRect().top, this.#passes.length));
    box.addEventListener("pointermove", (event) => event.pointerType === "mouse" && point(event));
    box.addEventListener("pointerdown", (event) => event.pointerType !== "mouse" && point(event));
    box.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && unmark());
    box.addEventListener("blur", unmark);
    box.addEventListener("keydown", (event) => {
      const rows = this.#passes.length;
      const at = this.token === null ? rows : this.#rowOf(this.token);
      const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: rows - 1 }[event.key];
      if (to === undefined || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.#mark(Math.max(0, Math.min(rows - 1, to)));
    });
    new ResizeObserver(() => {
      this.overview.measure(this.prompt.clientWidth);
      this.draw();
    }).observe(box);
    new IntersectionObserver((seen) => {
      this.visible = Boolean(seen.at(-1)?.isIntersecting);
      this.draw();
    }, { rootMargin: "200px" }).observe(this.element);
  }

  get #passes() { return this.lane?.passes ?? []; }

  /** @param {number} row */
  #mark(row) {
    const pass = this.#passes[row];
    if (!pass) return;
    // Of the passes of a search that commit tokens together, each found one.
    const before = this.#passes[row - 1]?.first === pass.first ? row - this.#rowOf(pass.first) : 0;
    mark(this.index, pass.first + Math.min(before, pass.size - 1));
  }

  /** The row of a token's pass. A step of several passes has one for each of its tokens, or for the first of them.
   * @param {number} token */
  #rowOf(token) {
    const passes = this.#passes;
    let [low, high] = [0, passes.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (passes[middle].first <= token) low = middle;
      else high = middle - 1;
    }
    while (low > 0 && passes[low - 1].first === passes[low].first) low -= 1;
    const beyond = token - (passes[low]?.first ?? 0);
    return passes[low + beyond]?.first === passes[low]?.first ? low + beyond : low;
  }

  /** Takes what has come; it is drawn now if the race is over, else when the last drawing is old enough.
   * @type {(race: Race, lane: Lane) => void} */
  update(race, lane) {
    Object.assign(this, { race, lane });
    if (lane.elsewhere && !this.sum.textContent) {
      this.element.hidden = false;
      this.element.dataset.elsewhere = "";
      write(this.sum, "Another machine decodes: its steps are not known here.");
    }
    if (!lane.passes.length) return;
    this.element.hidden = false;
    const ended = Number(lane.reason !== null) + Number(!race.running);
    if (ended && ended === this.ended) return; // other lanes run on
    this.ended = ended;
    this.pacer.ask(ended > 0);
  }

  /** Shows the step of a token, of this lane or, faintly, of another one. @type {(marked: Marked | null) => void} */
  point(marked) {
    this.token = marked && this.lane && marked.token < this.lane.count ? marked.token : null;
    this.faint = marked?.lane !== this.index;
    if (this.visible) this.#one();
  }

  /** Draws in other colours: light has turned dark. */
  recolor() {
    this.overview.recolor();
    this.draw();
  }

  draw() {
    const { race, lane } = this;
    if (!race || !lane?.passes.length || (race.running && !this.visible)) return;
    const { prompt_tokens: prompt, max_new_tokens: most } = race.start;
    this.look = lookOf(this.picture, lane.options, prompt + most);
    const whole = lane.reason !== null || !race.running;
    this.overview.draw({ passes: lane.passes, prompt, look: this.look, whole });
    write(this.prompt, `${count(prompt)} prompt token${prompt === 1 ? "" : "s"}`);
    write(this.newest, lane.passes.length > 1 ? `step ${count(lane.passes.length)}` : "");
    this.newest.style.top = `${Math.max(14, (lane.passes.length - 0.5) * this.overview.geometry.row - 6)}px`;
    this.#sum(lane, prompt);
    this.#one();
  }

  /** @type {(lane: Lane, prompt: number) => void} */
  #sum(lane, prompt) {
    const more = sums(lane.passes.slice(this.summed));
    this.computed += more.computed;
    this.whole += more.whole;
    this.summed = lane.passes.length;
    const without = lane.cache === 0
      ? `with a cache ${count(prompt + lane.count - 1)}` : `without a cache ${count(this.whole)}`;
    write(this.sum, `So far ${count(this.computed)} position${this.computed === 1 ? "" : "s"} computed; ${without}.`);
  }

  /** The marked step, or the newest. */
  #one() {
    const { race, lane, look } = this;
    if (!race || !lane?.passes.length || !look) return;
    const row = this.token === null ? lane.passes.length - 1 : this.#rowOf(this.token);
    const pass = lane.passes[row];
    const ranges = rangesOf(pass, look);
    const label = `step ${count(row + 1)}`;
    this.cursor.hidden = this.token === null;
    this.newest.hidden = this.token === null;
    this.cursor.dataset.faint = String(this.faint);
    const { row: high } = this.overview.geometry;
    this.cursor.style.cssText = `top: ${row * high}px; height: ${Math.max(2, high)}px`;
    this.step.replaceChildren(drawStep({ label, ...fold(ranges, race.start.prompt_tokens), lines: pass.rows, computes: "" }));
    this.step.dataset.marked = String(this.token !== null && !this.faint);
    const found = counts(ranges, pass.rows);
    const said = Object.entries(found).filter(([kind]) => SHORT[kind]);
    this.now.replaceChildren(...said.map(([kind, n]) => el("span", {}, swatch(kind), `${count(n)} ${SHORT[kind]}`)));
    this.box.setAttribute("aria-valuemax", String(lane.passes.length));
    this.box.setAttribute("aria-valuenow", String(row + 1));
    this.box.setAttribute("aria-valuetext", `${label}: ${said.map(([kind, n]) => `${count(n)} ${SHORT[kind]}`).join(", ")}`);
  }
}
