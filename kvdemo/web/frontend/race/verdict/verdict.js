// What the strip above the lanes says of a race: what is happening, and how it came out.
import { laneColor } from "../../base/colors.js";
import { el, write } from "../../base/dom.js";
import { SAME } from "../../base/python_constants.js";
import { format } from "../../base/format.js";
import { byLane } from "./by_lane.js";
import { told, whyLink } from "./sentences.js";
import { whereItPays } from "./where_it_pays.js";

/** What a race says that is shown again after its server was started again. */
const BEFORE = "This race ran before the server was started again. Its files to download, and what its tokens were chosen from, are gone with that server.";

/** @typedef {import("../lanes/lane.js").Lane} Lane */
/** @typedef {import("../wire.js").Race} Race */
/** @typedef {import("../wire.js").Finding} Finding */
/** @typedef {import("./sentences.js").Reader} Reader */
/** @typedef {{ lane: Lane, gain: import("../wire.js").Gain }} Leader a lane, and how it stands against the baseline */

/** @type {(race: Race) => Leader | undefined} */
const leader = (race) => race.lanes.slice(1)
  .flatMap((lane) => {
    const gain = race.speedup(lane);
    return gain ? [{ lane, gain }] : [];
  })
  .sort((a, b) => b.gain.times - a.gain.times)[0];

/** @type {(baseline: Lane, leader: Leader) => string} */
const lead = (baseline, { lane, gain }) => {
  if (gain.times > SAME) return `${lane.name} is ${format.times(gain.times)} as fast as ${baseline.name}`;
  if (1 / gain.times > SAME) return `${baseline.name} is ${format.times(1 / gain.times)} as fast as ${lane.name}`;
  return "Neck and neck";
};

/** @type {(lane: Lane, baseline: Lane) => string} */
const computed = (lane, baseline) => (lane.elsewhere || baseline.elsewhere ? ""
  : ` Positions computed so far: ${format.count(lane.positions)} and ${format.count(baseline.positions)}.`);

/** @type {(race: Race) => { headline: string, text: string }} */
const standing = (race) => {
  const first = leader(race);
  const [baseline] = race.lanes;
  if (!first) {
    const alone = race.lanes.length === 1 && baseline.count;
    return { headline: alone ? `${baseline.name} is decoding` : "Reading the prompt",
      text: `${format.count(race.start.prompt_tokens)} prompt tokens go through the model first.` };
  }
  const { lane, gain } = first;
  return {
    headline: lead(baseline, first),
    text: `${gain.at === 1 ? "First token" : `First ${format.count(gain.at)} tokens`}: ${lane.name} ${format.seconds(gain.lane)}, `
      + `${baseline.name} ${format.seconds(gain.baseline)}.${computed(lane, baseline)}`,
  };
};

/** A line a lane, cut off at the end of the line until it is unfolded.
 * @type {(lanes: { lane: Lane, found: Finding[] }[], reader: Reader, known: Set<string>) => HTMLElement} */
const list = (lanes, reader, known) => {
  const lines = lanes.map(({ lane, found }) => el("li", { style: `--lane: var(${laneColor(lane.index)})` },
    el("i", { class: "kv-swatch", "aria-hidden": "true" }), el("span", { dir: "auto" }, ...told(found, reader, known))));
  const unfold = el("button", { type: "button", class: "kv-more", "aria-expanded": "false", onclick: () => {
    const open = whole.toggleAttribute("data-open");
    unfold.setAttribute("aria-expanded", String(open));
    write(unfold, open ? "Less" : "All of it");
  } }, "All of it");
  const whole = el("div", { class: "kv-bylane" }, el("ul", {}, ...lines), unfold);
  return whole;
};

/** Tells on the strip what a race does, and how it came out. */
export class Verdict {
  /** The race that the verdict is about. @type {Race | null} */
  told = null;

  /**
   * @param {import("../strip.js").RaceStrip} strip
   * @param {(tokens: number) => void} useTokens
   */
  constructor(strip, useTokens) {
    this.strip = strip;
    this.useTokens = useTokens;
  }

  /** @param {Race} race */
  update(race) {
    if (race.phase === "preparing") this.strip.work(race.progress?.text ?? "Waiting for the server", race.progress?.fraction ?? null);
    else if (race.phase === "racing") this.strip.say("racing", standing(race));
    else if (race.phase === "finished") this.#finish(race);
    else if (race.phase === "refused") this.#refuse(race);
    else this.#notice(race);
  }

  /** Two lanes in a paragraph. Of more, what is said of all of them, and then a line for each, which unfolds.
   * @param {Race} race */
  #finish(race) {
    if (!race.verdict || (this.told === race && this.strip.element.dataset.state === "finished")) return;
    this.told = race;
    const { findings: [headline, ...findings], reader } = race.verdict;
    const { general, lanes } = byLane(findings, race.lanes);
    const many = race.lanes.length > 2;
    const known = new Set();
    this.strip.say("finished", { headline: headline.text, text: findings.map(({ text }) => text).join(" ") });
    this.strip.speak(race.verdict.findings.map(({ text }) => text).join(" "));
    this.strip.text.replaceChildren(...told(many ? general : findings, reader, known));
    this.strip.why = whyLink(headline, reader);
    if (this.strip.why) this.strip.headline.after(this.strip.why);
    if (many) this.strip.text.after(list(lanes, reader, known));
    if (race.lanes.length > 1) this.strip.offer(whereItPays());
    if (race.before) this.strip.warn(BEFORE, null, "notice");
  }

  /** @param {Race} race */
  #refuse(race) {
    if (!race.refusal) return;
    const { message, max_new_tokens: tokens } = race.refusal;
    const started = race.lanes.length > 0;
    this.strip.say("refused", { headline: started ? "The race broke off" : "This race cannot start", text: "" });
    this.strip.warn(message, tokens ? el("button", { type: "button", class: "kv-button",
      onclick: () => this.useTokens(tokens) }, `Use ${format.count(tokens)} tokens`) : null);
  }

  /** @param {Race} race */
  #notice(race) {
    this.strip.idle();
    this.strip.warn(race.notices.join("\n"), null, "notice");
  }
}
