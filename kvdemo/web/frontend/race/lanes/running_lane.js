// The card of a lane that runs: its numbers, and its text as chips coloured by what each token cost.
import { el, targetOf, write } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { spell } from "../../base/token_text.js";
import { heat } from "./heat.js";
import { LaneCard } from "./lane_card.js";
import { LaneReading } from "./lane_reading.js";
import { stepThrough } from "./step_through.js";
import { tokenCard } from "../token/token_card.js";

/** @typedef {import("./lane.js").Lane} Lane */
/** @typedef {import("../wire.js").Race} Race */
/** @typedef {import("../token/token_card.js").How} How */

const STATUS = {
  idle: "", waiting: "waiting", prefill: "reading the prompt", decoding: "decoding", length: "done", eos: "done · end of text",
  stopped: "stopped", error: "failed", interrupted: "interrupted",
};
/** @type {Record<string, (lane: Lane) => string>} */
const VALUES = {
  ttft: (lane) => format.seconds(lane.ttft),
  tpot: (lane) => format.seconds(lane.tpot),
  total: (lane) => format.seconds(lane.count ? lane.seconds : null),
  level: (lane) => format.seconds(lane.level),
  rate: (lane) => format.rate(lane.rate),
  positions: (lane) => format.count(lane.work.positions),
  cache: (lane) => format.bytes(lane.work.cache),
};

export class RunningLane extends LaneCard {
  /** @type {Race | null} */
  race = null;
  /** @type {Lane | null} */
  lane = null;
  /** How many tokens are drawn, and how many were when the text was last scrolled. */
  drawn = 0;
  scrolled = 0;
  /** @type {HTMLElement[]} */
  chips = [];
  /** The chips of the marked step. @type {HTMLElement[]} */
  pointed = [];
  /** The place of each chip's token. @type {Map<Element, number>} */
  places = new Map();
  /** What the last chip spells. @type {string | undefined} */
  spelled = undefined;
  /** The paragraph that is being written. @type {HTMLElement | null} */
  paragraph = null;
  /** Whether the text follows its end. */
  stick = true;
  /** Whether the keyboard walks the tokens, and to which one it or the pointer came. */
  keyboard = false;
  selected = -1;
  /** The divergence that is shown. @type {race.Divergence | null} */
  parted = null;
  /** The way to the steps of a lane that is done. @type {HTMLElement | null} */
  onward = null;

  /**
   * @param {import("./lane_card.js").Introduction} info
   * @param {number} index
   * @param {Definitions} definitions
   * @param {HTMLElement} picture what its steps computed, to stand under its text
   */
  constructor(info, index, definitions, picture) {
    const reading = new LaneReading(definitions);
    super(info, index, definitions, picture, reading.element);
    this.reading = reading;
    this.#listen();
  }

  #listen() {
    const { text } = this;
    /** @type {(event: Event, how?: How) => void} */
    const inspectAt = (event, how) => {
      const chip = targetOf(event, ".kv-chip");
      const place = chip && this.places.get(chip);
      if (typeof place === "number") this.inspect(place, how);
    };
    text.addEventListener("scroll", () => {
      this.stick = text.scrollHeight - text.scrollTop - text.clientHeight < 24;
    }, { passive: true });
    text.addEventListener("pointerover", (event) => event.pointerType === "mouse" && inspectAt(event));
    text.addEventListener("pointerleave", () => tokenCard().leave());
    text.addEventListener("click", (event) => inspectAt(event, { pinned: true }));
    text.addEventListener("keydown", (event) => this.#key(event));
    text.addEventListener("blur", ({ relatedTarget }) => this.keyboard && !tokenCard().holds(relatedTarget) && tokenCard().hide());
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Tab" && !event.shiftKey && this.keyboard && tokenCard().enter(this.text)) {
      event.preventDefault();
      return;
    }
    const last = this.chips.length - 1;
    const at = this.selected;
    /** @type {Record<string, number>} */
    const moves = { ArrowRight: at + 1, ArrowDown: at + 10, ArrowLeft: at - 1, ArrowUp: at - 10, Home: 0, End: last };
    const next = moves[event.key];
    if (next === undefined || last < 0 || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.keyboard = true;
    this.stick = next >= last;
    this.inspect(Math.max(0, Math.min(last, next)), { pinned: true, aloud: true });
  }

  /**
   * Shows what is known of a token.
   * @param {number} index
   * @param {How} [how]
   */
  inspect(index, how = {}) {
    const chip = this.chips[index];
    if (!chip || !this.lane || !this.race) return;
    this.selected = index;
    if (how.aloud) chip.scrollIntoView({ block: "nearest" });
    tokenCard().show(this.race, this.lane, index, chip, how);
  }

  /** @type {(race: Race, lane: Lane, fastest: number) => void} */
  update(race, lane, fastest) {
    Object.assign(this, { race, lane });
    this.#append(lane, fastest);
    this.#numbers(race, lane);
    this.#diverge(lane);
    if (this.onward) return;
    this.onward = stepThrough(race, lane);
    if (this.onward) this.element.firstElementChild?.append(this.onward);
  }

  /** A paragraph is a block of its own, so that a new token lays out one paragraph and not the whole text.
   * @type {(lane: Lane, fastest: number) => void} */
  #append(lane, fastest) {
    for (; this.drawn < lane.count; this.drawn++) {
      const token = lane.tokens[this.drawn];
      const chip = el("span", { class: "kv-chip", "data-heat": heat(token.seconds, fastest) }, ...spell(token.text));
      this.places.set(chip, this.drawn);
      this.spelled = token.text;
      this.chips.push(chip);
      if (!this.paragraph) {
        this.paragraph = el("div", { dir: "auto" });
        this.text.append(this.paragraph);
      }
      this.paragraph.append(chip);
      if (token.text.endsWith("\n")) this.paragraph = null;
    }
    const last = lane.tokens.at(-1)?.text;
    if (last === undefined || last === this.spelled) return;
    this.spelled = last; // the lane ended, and its last token got what was still waiting
    this.chips.at(-1)?.replaceChildren(...spell(last));
  }

  /** Apart from `update`, since it reads the layout: first all of the page is written, then all lanes scroll. */
  scroll() {
    if (this.stick && this.scrolled !== this.drawn) this.text.scrollTop = this.text.scrollHeight;
    this.scrolled = this.drawn;
  }

  /** @param {number} fastest */
  recolor(fastest) {
    this.lane?.tokens.slice(0, this.drawn).forEach(({ seconds }, i) => { this.chips[i].dataset.heat = String(heat(seconds, fastest)); });
  }

  /** @type {(race: Race, lane: Lane) => void} */
  #numbers(race, lane) {
    for (const name of this.metrics) write(this.values[name], VALUES[name](lane));
    const goal = race.start.max_new_tokens;
    const status = lane.reason ?? (lane.count ? "decoding" : race.phase === "racing" ? "prefill" : "waiting");
    const shown = race.interrupted && !lane.reason ? "interrupted" : status;
    this.element.dataset.status = shown;
    write(this.status, lane.count ? `${STATUS[shown]} ${format.count(lane.count)} / ${format.count(goal)}` : STATUS[shown]);
    this.filled.style.transform = `scaleX(${lane.count / goal})`;
    this.reading.update(lane.figures);
    this.bar.setAttribute("aria-valuemax", String(goal));
    this.bar.setAttribute("aria-valuenow", String(lane.count));
    if (lane.reason === "error") this.#say(`This lane failed. ${lane.error}`, "kv-failed");
    const gain = race.speedup(lane);
    if (this.speedup && gain) {
      this.speedup.hidden = false;
      write(this.times, format.times(gain.times));
    }
  }

  /** Outlines the tokens of the marked step, and in another lane than its own, faintly, the token of the same place.
   * @param {Marked | null} marked */
  point(marked) {
    for (const chip of this.pointed) chip.classList.remove("kv-current", "kv-beside");
    this.pointed = [];
    if (!marked) return;
    const own = marked.lane === this.index;
    const { first, size } = (own && this.lane?.tokens[marked.token]) || { first: marked.token, size: 1 };
    this.pointed = this.chips.slice(first, first + size);
    for (const chip of this.pointed) chip.classList.add(own ? "kv-current" : "kv-beside");
    this.#showChip(this.chips[marked.token]);
  }

  /** Scrolls the text, and nothing around it, to where a chip is seen.
   * @param {HTMLElement | undefined} chip */
  #showChip(chip) {
    if (!chip) return;
    const [seen, box] = [this.text.getBoundingClientRect(), chip.getBoundingClientRect()];
    if (box.top < seen.top) this.text.scrollTop -= seen.top - box.top;
    else if (box.bottom > seen.bottom) this.text.scrollTop += box.bottom - seen.bottom;
  }

  /** What was presumed of a divergence is replaced by what was found when the race was over.
   * @param {Lane} lane */
  #diverge(lane) {
    if (!lane.divergence || this.parted === lane.divergence) return;
    const { index: at, kind, detail } = lane.divergence;
    this.parted = lane.divergence;
    this.mark(at);
    if (lane.reason === "error") return;
    const opening = at ? `Same text up to token ${format.count(at)}.` : "The first token differs.";
    this.#say(`${opening} ${detail} `, kind === "unexplained" ? "kv-failed" : "kv-parted");
    this.note.append(el("button", { type: "button", onclick: () => this.reveal(at) }, "Show"));
  }

  /** Underlines the token at which this lane and the baseline part.
   * @param {number} index */
  mark(index) { this.chips[index]?.classList.add("kv-parting"); }

  /** @type {(text: string, kind: string) => void} */
  #say(text, kind) {
    this.note.hidden = false;
    this.note.className = `kv-note ${kind}`;
    this.note.textContent = text;
  }

  /** Scrolls to a token and opens it.
   * @param {number} index */
  reveal(index) {
    this.stick = false;
    this.chips[index].scrollIntoView({ block: "nearest" });
    this.text.focus({ preventScroll: true });
    this.keyboard = true;
    this.inspect(index, { pinned: true, aloud: true });
  }
}
