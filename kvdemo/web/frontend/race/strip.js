// The strip above the lanes before a race: what will happen, and how the model does. verdict/verdict.js tells the rest.
import { prose } from "../base/explain/prose.js";
import { Strip } from "../base/strip.js";

const IDLE = {
  headline: "One prompt, one model, several ways to decode it.",
  text: "Press Race: each lane writes its own answer, and a token’s colour is what it cost. The model is the same in every "
    + "lane; the work behind each token is not.",
};

export class RaceStrip extends Strip {
  /** The link behind the headline. @type {HTMLElement | null} */
  why = null;
  /** What a verdict offers to do next. @type {HTMLElement | null} */
  offered = null;

  constructor() {
    super("Verdict");
    this.idle();
  }

  /** Shows a headline and a text, and nothing else; before a race the words of the text explain themselves.
   * @param {string} state
   * @param {{ headline: string, text: string }} said */
  say(state, { headline, text }) {
    super.say(state, { headline, text });
    this.why?.remove();
    this.offered?.remove();
    if (state === "idle") this.text.replaceChildren(...prose(text));
  }

  /** Shows what to do next, at the end of the strip.
   * @param {HTMLElement} action */
  offer(action) {
    this.offered = action;
    this.element.append(action);
  }

  idle() { this.say("idle", IDLE); }

  /** The model is on its way, or failed to come.
   * @param {Status} status */
  model({ state, text, fraction }) {
    if (state === "loading") this.work(text, fraction, "Getting the model ready");
    else if (state === "failed") {
      this.say("failed", { headline: "No model yet", text: "Choose another one, or try again: Race starts a new attempt." });
      this.warn(text);
    } else this.idle();
  }
}
