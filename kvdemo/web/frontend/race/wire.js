// The race as data: reads lines of the wire format (kvdemo/web/wire.py) into its lanes. Nothing here draws.
import { Lane } from "./lanes/lane.js";

/**
 * What a race is about (`Started`).
 * @typedef {object} Start
 * @property {core.LaneInfo[]} lanes
 * @property {string} prompt_text
 * @property {number} prompt_tokens
 * @property {number} max_new_tokens
 * @property {string} schedule
 * @property {race.Model} model
 */

/**
 * A search's tree (kvdemo/web/beams.py): its levels, with nodes as [parent, token, text, logprob, score].
 * @typedef {object} Search
 * @property {number} lane
 * @property {[number, number, string, number, number][][]} levels
 * @property {Record<number, number>} sums of other lanes, over as many tokens
 */

/** @typedef {Pick<race.Finding, "lanes" | "text"> & { panel: string | null }} Finding with the panel of Inside that shows why */
/** @typedef {{ findings: Finding[], reader: Record<string, string>, beams: Search[] }} Verdict how the race came out, the headline first */
/** @typedef {{ message: string, max_new_tokens: number | null }} Refusal why it cannot run, and how many tokens could */

/**
 * How many times as fast as the baseline a lane is: at how many tokens, and the seconds of both.
 * @typedef {{ at: number, times: number, baseline: number, lane: number }} Gain
 */

const ESCAPES = /** @type {Record<string, string>} */ ({ "~": "~", n: "\n", l: "<" });
/** @param {string} text */
const unescaped = (text) => (text.includes("~") ? text.replace(/~([~nl])/g, (_, char) => ESCAPES[char]) : text);

/** Splits off the first `n` fields; what follows them is free text, spaces and all.
 * @type {(line: string, n: number) => string[]} */
const fields = (line, n) => {
  const out = [];
  let from = 0;
  for (let i = 0; i < n; i++) {
    const to = line.indexOf(" ", from);
    out.push(line.slice(from, to));
    from = to + 1;
  }
  return [...out, unescaped(line.slice(from))];
};

/** The method that reads a line, by the line's first character. */
const READERS = /** @type {const} */ ({ "+": "more", "=": "written", T: "rest", P: "prepare", S: "started", D: "diverged", E: "ended",
  V: "finished", X: "refused", N: "notice" });

export class Race {
  /** @type {Start | null} */
  #start = null;
  /** @type {Lane | null} */
  #current = null;

  /** @param {string} run */
  constructor(run, before = false) {
    this.run = run;
    /** It ran on a server that is gone. */
    this.before = before;
    /** @type {"preparing" | "racing" | "finished" | "refused" | "notice"} */
    this.phase = "preparing";
    /** @type {{ text: string, fraction: number | null } | null} */
    this.progress = null;
    /** @type {Lane[]} */
    this.lanes = [];
    this.interrupted = false;
    /** @type {Verdict | null} */
    this.verdict = null;
    /** @type {Refusal | null} */
    this.refusal = null;
    /** @type {string[]} */
    this.notices = [];
    this.fastest = Infinity;
  }

  /** What the race is about, known from its S line on, before which it has no lanes. */
  get start() {
    if (!this.#start) throw new Error("a race is asked of before it has started");
    return this.#start;
  }

  /** The lane of the last step. */
  get #stepping() {
    if (!this.#current) throw new Error("a token's line stands before any step's");
    return this.#current;
  }

  /** @param {string} line */
  feed(line) {
    const kind = line[0];
    if (kind >= "0" && kind <= "9") this.#step(line);
    else if (kind in READERS) this[READERS[/** @type {keyof typeof READERS} */ (kind)]](line);
  }

  /** @param {string} line */
  #step(line) {
    const [lane, id, cost, ran, held, model, text] = fields(line, 6);
    const [whole, levels] = cost.split("/");
    const [micros, size] = whole.split("*");
    const current = this.lanes[+lane];
    this.#current = current;
    current.step(+micros / 1e6, +(size ?? 1), +(levels ?? 0), ran, held, this.start.prompt_tokens);
    current.token(+id, model, text, this.start.prompt_tokens);
    // Tokens of another machine come in bursts, next to which every step here would look slow.
    if (!current.elsewhere || this.lanes.every((other) => other.elsewhere)) this.fastest = Math.min(this.fastest, current.current.seconds);
  }

  /** @param {string} line */
  more(line) {
    const [, id, model, text] = fields(line, 3);
    this.#stepping.token(+id, model, text, this.start.prompt_tokens);
  }

  /** @param {string} line */
  written(line) {
    const token = this.#stepping.tokens.at(-1);
    if (token) token.written = unescaped(line.slice(2));
  }

  /** The text that was still waiting when a lane ended: its last token's.
   * @param {string} line */
  rest(line) {
    const [, lane, text] = fields(line, 2);
    const token = this.lanes[+lane].tokens.at(-1);
    if (!token) return;
    token.text += text;
    token.written += text;
  }

  /** @param {string} line */
  prepare(line) {
    const [, permille, text] = fields(line, 2);
    this.progress = { text, fraction: permille === "-" ? null : Number(permille) / 1000 };
  }

  /** @param {string} line */
  started(line) {
    /** @type {Start} */
    const start = JSON.parse(line.slice(2));
    this.#start = start;
    this.lanes = start.lanes.map((info, index) => new Lane(info, index));
    this.phase = "racing";
  }

  /** @param {string} line */
  diverged(line) {
    /** @type {race.Divergence & { lane: number }} */
    const { lane, ...divergence } = JSON.parse(line.slice(2));
    this.lanes[lane].divergence = divergence;
  }

  /** @param {string} line */
  ended(line) {
    const [, lane, reason, error] = fields(line, 3);
    Object.assign(this.lanes[+lane], { reason, error });
  }

  /** @param {string} line */
  finished(line) {
    this.verdict = JSON.parse(line.slice(2));
    this.phase = "finished";
  }

  /** @param {string} line */
  refused(line) {
    this.refusal = JSON.parse(line.slice(2));
    this.phase = "refused";
  }

  /** @param {string} line */
  notice(line) {
    this.notices.push(unescaped(line.slice(2)));
    this.phase = "notice";
  }

  get running() { return this.phase === "preparing" || this.phase === "racing"; }

  /**
   * Baseline seconds over the lane's, both at the smaller of the two token counts. Null where that means nothing: with
   * unequal counts a search, of which only the whole compares, and a lane that ended after its first token.
   * @param {Lane} lane
   * @returns {Gain | null}
   */
  speedup(lane) {
    const baseline = this.lanes[0];
    const n = Math.min(baseline.count, lane.count);
    if (!n || lane === baseline) return null;
    const both = [baseline, lane];
    const whole = baseline.count === lane.count && both.every(({ reason }) => reason);
    if (!whole && both.some(({ searches }) => searches)) return null;
    if (baseline.count !== lane.count && both.some(({ cutShort }) => cutShort)) return null;
    if (!(baseline.elapsed[n - 1] > 0 && lane.elapsed[n - 1] > 0)) return null;
    return { at: n, times: baseline.elapsed[n - 1] / lane.elapsed[n - 1], baseline: baseline.elapsed[n - 1], lane: lane.elapsed[n - 1] };
  }
}
