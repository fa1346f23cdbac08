// Two loops, side by side: the real files of two strategies, the lines that only one of them has marked.
import { el } from "../../base/dom.js";
import { codeLine, lines } from "../drawing/highlight.js";

/** A file, its lines in colours, and where its loop begins.
 * @typedef {{ file: inside.SourceLine[], code: import("../drawing/highlight.js").Part[][], loop: number }} Side */

/** What the loop begins with. */
const LOOP = "def decode(";

/** How a line is marked: "true" for one that this file alone has in its loop, "around" for an import or an explanation.
 * @type {(side: Side, at: number) => "true" | "around" | "false"} */
const mark = ({ file, code, loop }, at) => {
  if (!file[at].only) return "false";
  return at >= loop && code[at].some(([kind, text]) => text.trim() && kind !== "string" && kind !== "comment") ? "true" : "around";
};

class Loops {
  constructor() {
    this.element = el("div", { class: "kv-loops" });
    /** Where the loop begins, once it has not been scrolled to. @type {number | null} */
    this.begins = null;
    new ResizeObserver(() => this.#settle()).observe(this.element);
    this.more = [el("p", {}, "These are the files that the race runs, read from this server when the panel was computed. A marked line stands in one file alone; everything else is the same.")];
  }

  /** @param {inside.LoopsPanel} panel */
  show({ loops: files, pairs }) {
    const sides = files.map(({ lines: file }) => ({ file, code: lines(file.map(({ text }) => text).join("\n")), loop: Math.max(0, file.findIndex(({ text }) => text.includes(LOOP))) }));
    this.element.replaceChildren(...files.map((loop, side) => el("section", { class: "kv-loop", "aria-label": loop.name },
      el("header", {}, el("h4", {}, loop.name), el("code", {}, loop.path), el("small", {}, this.#only(sides[side]))),
      el("ol", { class: "kv-code", tabindex: "0", "aria-label": `Source of ${loop.name}` },
        ...pairs.map((pair) => this.#line(sides[side], pair[side]))))));
    this.#together();
    this.begins = pairs.findIndex((pair) => pair.some((line, side) => line !== null && files[side].lines[line].text.includes(LOOP)));
    this.#settle();
  }

  /** Puts the files in order, where they have room on the page: before, nothing can be measured. */
  #settle() {
    if (!this.element.offsetWidth) return;
    this.#level();
    if (this.begins !== null) this.#toTheLoop(this.begins);
    this.begins = null;
  }

  /** Lines that face each other are equally tall, also where one of them is long and goes on below itself. */
  #level() {
    const [left, right] = [...this.element.querySelectorAll(".kv-code")].map((file) => /** @type {HTMLElement[]} */ ([...file.children]));
    if (!left || !right) return;
    for (const row of [...left, ...right]) row.style.minHeight = "";
    if (left[0]?.offsetLeft === right[0]?.offsetLeft) return; // below each other
    const heights = left.map((row, i) => Math.max(row.getBoundingClientRect().height, right[i].getBoundingClientRect().height));
    for (const [i, height] of heights.entries()) left[i].style.minHeight = right[i].style.minHeight = `${height}px`;
  }

  /** @param {Side} side */
  #only(side) {
    const marks = side.file.map((_, at) => mark(side, at));
    const [loop, around] = ["true", "around"].map((kind) => marks.filter((one) => one === kind).length);
    return `${loop} lines of the loop are in this file alone${around ? `; so are ${around} around it, marked faintly` : ""}`;
  }

  /** @type {(side: Side, at: number | null) => HTMLElement} */
  #line(side, at) {
    const { file, code } = side;
    if (at === null) return el("li", { class: "kv-gap", "aria-hidden": "true" });
    return el("li", { "data-only": String(file[at].only), "data-mark": mark(side, at), value: file[at].number }, el("span", { class: "kv-number", "aria-hidden": "true" }, String(file[at].number)),
      codeLine(code[at], file[at].only ? el("span", { class: "kv-hidden" }, " (only here)") : null));
  }

  /** The loop itself comes behind what is imported and explained: both begin there, and can be scrolled up.
   * @param {number} at the row with which it begins */
  #toTheLoop(at) {
    for (const file of this.element.querySelectorAll(".kv-code")) {
      const row = /** @type {HTMLElement | undefined} */ (file.children[Math.max(0, at - 2)]);
      file.scrollTop = row ? row.offsetTop - /** @type {HTMLElement} */ (file.children[0]).offsetTop : 0;
    }
  }

  /** Lines that face each other stay so when one side is scrolled. */
  #together() {
    const both = [...this.element.querySelectorAll(".kv-code")];
    for (const file of both) {
      file.addEventListener("scroll", () => {
        for (const other of both) if (other !== file && other.scrollTop !== file.scrollTop) other.scrollTop = file.scrollTop;
      }, { passive: true });
    }
  }
}

/** @type {import("../panel_frame.js").Panel<"loops">} */
export const loops = {
  name: "loops",
  title: "Two loops, side by side",
  short: "Two loops",
  question: "What has to be written differently?",
  lead: "The one loop hands the model the whole text in each step, the other the last token and what it kept: the lines that only one file has are marked.",
  computes: "the lines that differ",
  form: [],
  varied: [],
  make: () => new Loops(),
};
