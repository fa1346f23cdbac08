// A lane's card: its name, its numbers, and its text as chips coloured by what each token cost.
import { laneColor } from "../base/colors.js";
import { el, write } from "../base/dom.js";
import { format } from "../base/format.js";
import { term } from "../base/terms.js";
import { spell } from "../base/token_text.js";
import { explain } from "../base/tooltip.js";
import { tokenCard } from "./token_card.js";

/** Latency over the fastest, on a logarithmic scale of seven colours, half an octave each. */
export const HEAT_LEVELS = 7;
export const heat = (seconds, fastest) => Math.min(HEAT_LEVELS - 1, Math.max(0, Math.round(2 * Math.log2(seconds / fastest))));
export const heatLimit = (fastest, level) => fastest * 2 ** (level / 2);

const STATUS = {
  idle: "", waiting: "waiting", prefill: "reading the prompt", decoding: "decoding", length: "done", eos: "done · end of text",
  stopped: "stopped", error: "failed", interrupted: "interrupted",
};
const METRICS = ["ttft", "tpot", "rate", "positions", "cache"];
/** A search has no first token to wait for, and its tokens do not follow one by one. */
const SEARCH_METRICS = ["total", "level", "rate", "positions", "cache"];
const VALUES = {
  ttft: (lane) => format.seconds(lane.ttft),
  tpot: (lane) => format.seconds(lane.tpot),
  total: (lane) => format.seconds(lane.count ? lane.seconds : null),
  level: (lane) => format.seconds(lane.level),
  rate: (lane) => format.rate(lane.rate),
  positions: (lane) => format.count(lane.work.positions),
  cache: (lane) => format.bytes(lane.work.cache),
};

export class LaneCard {
  constructor(info, index, definitions) {
    this.index = index;
    this.race = null;
    this.lane = null;
    this.drawn = 0;
    this.chips = [];
    this.stick = true;
    this.values = {};
    this.#build(info, definitions);
  }

  #build(info, definitions) {
    const { index } = this;
    this.metrics = info.searches ? SEARCH_METRICS : METRICS;
    this.status = el("span", { class: "kv-status" });
    this.lead = el("span", { class: "kv-lead" });
    const badge = index === 0 ? el("span", { class: "kv-badge" }, "baseline")
      : explain(el("button", { type: "button", class: "kv-badge kv-speedup", hidden: true }), {
        title: definitions.speedup.long, text: definitions.speedup.text });
    if (index > 0) {
      this.times = badge.appendChild(el("span"));
      badge.append(el("span", { class: "kv-roomy" }, " as fast"));
      this.speedup = badge;
    }
    this.bar = el("div", { class: "kv-progress", role: "progressbar", "aria-label": `${info.name}: tokens`, "aria-valuemin": 0 }, el("i"));
    this.text = el("div", { class: "kv-text", tabindex: "0", role: "group",
      "aria-label": `Tokens of ${info.name}. Arrow keys inspect them.` });
    this.note = el("p", { class: "kv-note", hidden: true });
    this.element = el(
      "article", { class: "kv-lane", "aria-label": info.name, style: `--lane: var(${laneColor(index)})` },
      el("div", { class: "kv-lane-in" },
        el("header", {}, el("i", { class: "kv-swatch", "aria-hidden": "true" }), el("h3", {}, info.name), badge, this.status),
        el("p", { class: "kv-summary", title: info.summary }, info.summary),
        el("dl", { class: "kv-metrics" }, ...this.metrics.map((name) => this.#metric(name, definitions[name]))),
        this.bar, this.text, this.note));
    this.#listen();
  }

  #metric(name, definition) {
    this.values[name] = el("dd", {}, format.none);
    return el("div", { "data-metric": name }, el("dt", {}, term(definition)), this.values[name]);
  }

  #listen() {
    const { text } = this;
    const chipAt = (event) => event.target.closest(".kv-chip");
    text.addEventListener("scroll", () => {
      this.stick = text.scrollHeight - text.scrollTop - text.clientHeight < 24;
    }, { passive: true });
    text.addEventListener("pointerover", (event) => {
      const chip = event.pointerType === "mouse" && chipAt(event);
      if (chip) this.inspect(chip.index);
    });
    text.addEventListener("pointerleave", () => tokenCard().leave());
    text.addEventListener("click", (event) => {
      const chip = chipAt(event);
      if (chip) this.inspect(chip.index, { pinned: true });
    });
    text.addEventListener("keydown", (event) => this.#key(event));
    text.addEventListener("blur", () => this.keyboard && tokenCard().hide());
  }

  #key(event) {
    const last = this.chips.length - 1;
    const at = this.selected ?? -1;
    const next = { ArrowRight: at + 1, ArrowDown: at + 10, ArrowLeft: at - 1, ArrowUp: at - 10, Home: 0, End: last }[event.key];
    if (next === undefined || last < 0 || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.keyboard = true;
    this.stick = next >= last;
    this.inspect(Math.max(0, Math.min(last, next)), { pinned: true, aloud: true });
  }

  inspect(index, how = {}) {
    const chip = this.chips[index];
    if (!chip || !this.lane) return;
    this.selected = index;
    if (how.aloud) chip.scrollIntoView({ block: "nearest" });
    tokenCard().show(this.race, this.lane, index, chip, how);
  }

  update(race, lane, fastest) {
    Object.assign(this, { race, lane });
    this.#append(lane, fastest);
    this.#numbers(race, lane);
    this.#diverge(lane);
  }

  /** A paragraph is a block of its own, so that a new token lays out one paragraph and not the whole text. */
  #append(lane, fastest) {
    for (; this.drawn < lane.count; this.drawn++) {
      const token = lane.tokens[this.drawn];
      const chip = el("span", { class: "kv-chip", "data-heat": heat(token.seconds, fastest) }, ...spell(token.text));
      chip.index = this.drawn;
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
    if (last === this.spelled) return;
    this.spelled = last; // the lane ended, and its last token got what was still waiting
    this.chips.at(-1).replaceChildren(...spell(last));
  }

  /** Apart from `update`, since it reads the layout: first all lanes write, then all scroll. */
  scroll() {
    if (this.stick && this.scrolled !== this.drawn) this.text.scrollTop = this.text.scrollHeight;
    this.scrolled = this.drawn;
  }

  recolor(fastest) {
    this.chips.forEach((chip, i) => { chip.dataset.heat = heat(this.lane.tokens[i].seconds, fastest); });
  }

  #numbers(race, lane) {
    for (const name of this.metrics) write(this.values[name], VALUES[name](lane));
    const goal = race.start.max_new_tokens;
    const status = lane.reason ?? (lane.count ? "decoding" : race.phase === "racing" ? "prefill" : "waiting");
    const shown = race.interrupted && !lane.reason ? "interrupted" : status;
    this.element.dataset.status = shown;
    write(this.status, lane.count ? `${STATUS[shown]} ${format.count(lane.count)} / ${format.count(goal)}` : STATUS[shown]);
    this.bar.firstChild.style.transform = `scaleX(${lane.count / goal})`;
    this.bar.setAttribute("aria-valuemax", goal);
    this.bar.setAttribute("aria-valuenow", lane.count);
    if (lane.reason === "error") this.#say(`This lane failed. ${lane.error}`, "kv-failed");
    const gain = this.speedup && race.speedup(lane);
    if (gain) {
      this.speedup.hidden = false;
      write(this.times, format.times(gain.times));
    }
  }

  /** What was presumed of a divergence is replaced by what was found when the race was over. */
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

  /** Underlines the token at which this lane and the baseline part. */
  mark(index) { this.chips[index]?.classList.add("kv-parting"); }

  #say(text, kind) {
    this.note.hidden = false;
    this.note.className = `kv-note ${kind}`;
    this.note.textContent = text;
  }

  /** Scrolls to a token and opens it. */
  reveal(index) {
    this.stick = false;
    this.chips[index].scrollIntoView({ block: "nearest" });
    this.text.focus({ preventScroll: true });
    this.keyboard = true;
    this.inspect(index, { pinned: true, aloud: true });
  }
}
