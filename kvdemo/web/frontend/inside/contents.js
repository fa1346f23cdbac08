// The list of the panels, which stays at the top while the reader scrolls: it marks the one that is being read.
import { el } from "../base/dom.js";
import { returnTo } from "../shell/tabs.js";

/** The band of the window in which the panel that is being read lies: a third of the way down. */
const BAND = "-33% 0px -66% 0px";

/** @typedef {import("./panel_frame.js").PanelFrame} PanelFrame */
/** @typedef {import("./panel_frame.js").Part} Part */

export class Contents {
  /**
   * @param {PanelFrame[]} frames
   * @param {(frame: PanelFrame, part?: Part) => void} open
   */
  constructor(frames, open) {
    this.back = el("button", { type: "button", class: "kv-back", hidden: true, onclick: () => returnTo("race") }, "‹ Back to the race");
    /** @type {Map<Element, HTMLElement>} */
    this.entries = new Map();
    this.list = el("ol", {});
    for (const frame of frames) {
      const { panel, number, picture: { part } } = frame;
      const entry = this.#entry(panel.short, panel.title, () => open(frame), number);
      this.entries.set(frame.element, entry);
      this.list.append(el("li", {}, entry), ...(part ? [el("li", {}, this.#entry(part.short, part.title, () => open(frame, part)))] : []));
    }
    this.element = el("nav", { class: "kv-contents", "aria-label": "Panels" }, this.back, this.list);
    const watcher = new IntersectionObserver((seen) => {
      const read = seen.find(({ isIntersecting }) => isIntersecting);
      if (read) return this.#mark(read.target);
      // Above the first panel, none lies in the band.
      const first = frames[0].element;
      if (first.getBoundingClientRect().top > (seen[0].rootBounds?.bottom ?? Infinity)) this.#mark(first);
    }, { rootMargin: BAND });
    for (const { element } of frames) watcher.observe(element);
  }

  /** @type {(short: string, title: string, open: () => void, number?: number) => HTMLElement} */
  #entry(short, title, open, number) {
    return el("button", { type: "button", title, onclick: open }, number ? el("span", { "aria-hidden": "true" }, String(number)) : null, short);
  }

  /** @param {Element} panel */
  #mark(panel) {
    for (const [element, entry] of this.entries) {
      if (element === panel) entry.setAttribute("aria-current", "true");
      else entry.removeAttribute("aria-current");
    }
    const entry = this.entries.get(panel);
    if (entry) this.list.scrollLeft = entry.offsetLeft - (this.list.clientWidth - entry.offsetWidth) / 2;
  }

  /** What is shown is about a race: there is a way back to it. */
  cameFromRace() { this.back.hidden = false; }
}
