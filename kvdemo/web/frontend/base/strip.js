// The strip above what a tab shows: a headline, a sentence or two, a bar while there is work, and what is wrong.
import { el, write } from "./dom.js";

export class Strip {
  /** @param {string} name what it is called to a screen reader */
  constructor(name) {
    this.headline = el("h2", {});
    this.text = el("p", {});
    this.filled = el("i");
    this.bar = el("div", { class: "kv-work", role: "progressbar", "aria-label": "Progress", hidden: true }, this.filled);
    this.alert = el("div", { class: "kv-alert", role: "alert", hidden: true });
    this.speech = el("div", { class: "kv-hidden", "aria-live": "polite" });
    this.element = el("section", { class: "kv-strip", "aria-label": name },
      this.headline, this.text, this.bar, this.alert, this.speech);
  }

  /**
   * Shows a headline and a text, and nothing else.
   * @param {string} state for the style sheet and the tests
   * @param {{ headline: string, text: string }} said
   */
  say(state, { headline, text }) {
    this.element.dataset.state = state;
    write(this.headline, headline);
    write(this.text, text);
    this.text.hidden = !text;
    this.bar.hidden = this.alert.hidden = true;
    this.element.querySelector(".kv-bylane")?.remove();
  }

  /**
   * Work in progress.
   * @param {string} text
   * @param {number | null} fraction null while it is unknown
   */
  work(text, fraction, headline = "Getting ready") {
    this.say("working", { headline, text });
    this.bar.hidden = false;
    this.bar.dataset.known = String(fraction !== null);
    if (this.bar.dataset.known !== "true") this.bar.removeAttribute("aria-valuenow");
    this.fill(fraction);
  }

  /**
   * How far the bar reaches; all the way where that is unknown.
   * @param {number | null} fraction
   */
  fill(fraction) {
    if (fraction !== null) this.bar.setAttribute("aria-valuenow", String(Math.round(fraction * 100)));
    this.filled.style.transform = `scaleX(${fraction ?? 1})`;
  }

  /**
   * One sentence about what is wrong, and perhaps a button that mends it.
   * @param {string} text
   * @param {HTMLElement | null} [action]
   */
  warn(text, action = null, kind = "error") {
    this.alert.hidden = false;
    this.alert.dataset.kind = kind;
    this.alert.replaceChildren(el("p", { dir: "auto" }, text), ...(action ? [action] : []));
  }

  /** For screen readers.
   * @param {string} text */
  speak(text) { write(this.speech, text); }
}
