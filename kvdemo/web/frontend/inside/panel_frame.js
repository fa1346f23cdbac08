// A panel's frame: its question, its title, one sentence, the picture, what is said in place of it, and more behind a fold.
import { el, write } from "../base/dom.js";
import { prose } from "../base/explain/prose.js";

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
 * A part of a panel that has a place of its own in the list of panels; `open` switches it on.
 * @typedef {{ name: string, title: string, short: string, element: HTMLElement, open(): void }} Part
 */
/**
 * A panel's picture: `more` stands behind the fold, `show` draws what was computed, or so much of it as there is.
 * `choosers` vary what is asked for; they stay where it cannot be shown, so that something else can be asked for.
 * @template {PanelName} Name
 * @typedef {{ element: HTMLElement, more: Node[], part?: Part, choosers?: HTMLElement, show(panel: import("./questions.js").Computed<Name>): void }} Picture
 */

/**
 * What a panel is: its name as in the document, its title whole and in short, the question that it answers, a lead of one
 * sentence, what has to be computed for it, on what it depends, and what makes its picture.
 * @template {PanelName} [Name=PanelName]
 * @typedef {Pick<import("./questions.js").Ask, "form" | "varied">
 *   & { name: Name, title: string, short: string, question: string, lead: string, computes: string, make: (host: Host) => Picture<Name> }} Panel
 */


export class PanelFrame {
  /**
   * @param {Panel} panel
   * @param {number} number
   * @param {Host} host
   */
  constructor(panel, number, host) {
    this.panel = panel;
    this.number = number;
    this.picture = panel.make(host);
    this.note = el("p", { class: "kv-panelnote", role: "status", dir: "auto" }, `Waits for its turn: ${panel.computes}`);
    this.body = el("div", { class: "kv-panelbody", hidden: true }, this.picture.element);
    this.heading = el("h3", { id: `kv-i-${panel.name}-title`, tabindex: "-1" }, el("span", { "aria-hidden": "true" }, String(number)), panel.title);
    this.more = this.picture.more.length
      ? el("details", { class: "kv-unfold", hidden: true }, el("summary", {}, "More"), el("div", {}, ...this.picture.more)) : null;
    this.choosers = this.picture.choosers ? el("div", { class: "kv-panelchoosers", hidden: true }, this.picture.choosers) : null;
    this.element = el("section", { class: "kv-block kv-panel", id: `kv-i-${panel.name}`, "aria-labelledby": this.heading.id, "data-state": "waiting" },
      el("header", {}, this.heading, el("p", { class: "kv-question" }, panel.question)),
      el("p", { class: "kv-panellead" }, ...prose(panel.lead)), this.note, this.choosers,
      el("div", { class: "kv-skeleton", "aria-hidden": "true" }, ...Array.from({ length: 3 }, () => el("i", {}))), this.body, this.more);
  }

  get state() { return this.element.dataset.state; }

  /** @type {(state: import("./questions.js").Answer["state"], text: string) => string} */
  #says(state, text) {
    const { computes } = this.panel;
    if (state === "stale") return `Waits for its turn: ${computes}`;
    return state === "working" ? `Computing ${computes}${text ? `: ${text[0].toLowerCase()}${text.slice(1)}` : ""}` : text;
  }

  /** @param {import("./questions.js").Answer} answer */
  take({ state, text, panel }) {
    this.element.dataset.state = state;
    this.element.setAttribute("aria-busy", String(state === "working"));
    write(this.note, this.#says(state, text ?? ""));
    if (panel) this.picture.show(panel);
    // While an answer is being computed, the last one stays, dimmed, until there is a part of the new one.
    if (panel) this.body.hidden = false;
    else if (state !== "working" && state !== "stale") this.body.hidden = true;
    if (panel || state !== "working") this.element.dataset.fresh = String(Boolean(panel));
    if (this.choosers && (panel || (state !== "working" && state !== "stale"))) this.choosers.hidden = false;
    if (this.more) this.more.hidden = this.body.hidden;
  }
}
