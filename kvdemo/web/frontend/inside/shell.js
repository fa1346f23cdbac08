// A panel's frame: its question, its title, one sentence, the picture, what is said in place of it, and more behind a fold.
import { el, write } from "../base/dom.js";
import { prose } from "../base/prose.js";

/**
 * What a panel is. `make` builds its picture: `element`, `more` (nodes behind the fold) and `show`, which draws what was computed.
 * @typedef {object} Panel
 * @property {string} name as in the document
 * @property {string} title
 * @property {string} question what it answers
 * @property {string} lead one sentence
 * @property {string[]} form
 * @property {string[]} varied
 * @property {(host: any) => { element: HTMLElement, more: Node[], show: (panel: any, document: any) => void }} make
 */

const SAID = { working: "Computing", stale: "", stopped: "", error: "", cannot: "" };

export class Shell {
  /**
   * @param {Panel} panel
   * @param {number} number
   * @param {any} host
   */
  constructor(panel, number, host) {
    this.panel = panel;
    this.picture = panel.make(host);
    this.note = el("p", { class: "kv-panelnote", role: "status", dir: "auto" });
    this.body = el("div", { class: "kv-panelbody", hidden: true }, this.picture.element);
    this.heading = el("h3", { id: `kv-i-${panel.name}-title`, tabindex: "-1" }, el("span", { "aria-hidden": "true" }, String(number)), panel.title);
    this.more = this.picture.more.length
      ? el("details", { class: "kv-unfold", hidden: true }, el("summary", {}, "More"), el("div", {}, ...this.picture.more)) : null;
    this.element = el("section", { class: "kv-block kv-panel", id: `kv-i-${panel.name}`, "aria-labelledby": this.heading.id, "data-state": "waiting" },
      el("header", {}, this.heading, el("p", { class: "kv-question" }, panel.question)),
      el("p", { class: "kv-panellead" }, ...prose(panel.lead)), this.note, this.body, this.more);
  }

  get state() { return this.element.dataset.state; }

  /** @param {import("./questions.js").Answer} answer */
  take({ state, text, panel, document }) {
    this.element.dataset.state = state;
    this.element.setAttribute("aria-busy", String(state === "working"));
    write(this.note, text || (SAID[state] ?? ""));
    if (state === "shown") this.picture.show(panel, document);
    // While an answer is being computed, the last one stays, dimmed.
    if (state !== "working" && state !== "stale") this.body.hidden = state !== "shown";
    if (this.more) this.more.hidden = this.body.hidden;
  }
}
