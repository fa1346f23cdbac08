// A panel's frame: its question, its title, one sentence, the picture, what is said in place of it, and more behind a fold.
import { el, write } from "../base/dom.js";
import { prose } from "../base/prose.js";

/**
 * The tab, as far as panels use it.
 * @typedef {object} Host
 * @property {import("./settings.js").Settings} settings
 * @property {import("./questions.js").Questions} questions
 * @property {string} lane the lane of a race whose tokens were handed over
 * @property {(key: string, value: number) => void} vary changes a setting
 * @property {() => void} letGo has the model write again, in place of tokens that were handed over
 */

/** @typedef {import("./questions.js").PanelName} PanelName */

/**
 * A panel's picture: `more` stands behind the fold, `show` draws what was computed.
 * @template {PanelName} Name
 * @typedef {{ element: HTMLElement, more: Node[], show(panel: import("./questions.js").Computed<Name>): void }} Picture
 */

/**
 * What a panel is: its name as in the document, the question that it answers, a lead of one sentence, on what it depends,
 * and what makes its picture.
 * @template {PanelName} [Name=PanelName]
 * @typedef {Pick<import("./questions.js").Ask, "form" | "varied">
 *   & { name: Name, title: string, question: string, lead: string, make: (host: Host) => Picture<Name> }} Panel
 */


export class Shell {
  /**
   * @param {Panel} panel
   * @param {number} number
   * @param {Host} host
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
  take({ state, text, panel }) {
    this.element.dataset.state = state;
    this.element.setAttribute("aria-busy", String(state === "working"));
    write(this.note, text || (state === "working" ? "Computing" : ""));
    if (state === "shown") this.picture.show(panel);
    // While an answer is being computed, the last one stays, dimmed.
    if (state !== "working" && state !== "stale") this.body.hidden = state !== "shown";
    if (this.more) this.more.hidden = this.body.hidden;
  }
}
