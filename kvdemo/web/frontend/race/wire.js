// The race as data: lines of the wire format (kvdemo/web/wire.py) in, running sums out. Nothing here draws.

import { TextFigures } from "./lanes/text_figures.js";

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
 * A search's tree (kvdemo/web/components/beams.py): its levels, with nodes as [parent, token, text, logprob, score].
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

/**
 * What a step cost: positions that it computed and that it read, over all rows; its tokens share the seconds. `first` is the place of the first of them.
 * @typedef {{ seconds: number, stepSeconds: number, size: number, positions: number, read: number, bytes: number, first: number }} Cost
 */

/**
 * A token: `written` is what the lane itself wrote for it. Of the model's own distribution: `probability` and `logprob`
 * (ln p) of the token, `entropy` in bits; null where it is not known.
 * @typedef {Cost & { id: number, text: string, written: string, probability: number | null, logprob: number | null, entropy: number | null }} Token
 */

/**
 * A forward pass of a lane: the token of which its step is the first and how many that step committed; rows side by side,
 * positions that were run in each, positions that the last query saw, drafts cut off again, all positions of the text so
 * far; bytes held after the step, and by an exact cache.
 * @typedef {{ first: number, size: number, rows: number, positions: number, context: number, rejected: number, seen: number, bytes: number, exact: number }} Pass
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

const PASS = /^(?:(\d+)x)?(\d+)@(\d+)(?:-(\d+))?(?:\*(\d+))?$/;

/**
 * The passes of a step as it is written (`ran` of kvdemo/web/wire.py); `text` is how many positions the text has.
 * @type {(ran: string, text: number, kept: boolean) => Pick<Pass, "rows" | "positions" | "context" | "rejected" | "seen">[]}
 */
export const passesOf = (ran, text, kept) => ran.split("+").flatMap((one) => {
  const found = PASS.exec(one);
  if (!found) {
    const positions = Number(one);
    const context = kept ? Math.max(text, positions) : positions;
    return positions ? [{ rows: 1, positions, context, rejected: 0, seen: context }] : [];
  }
  const [rows, positions, first, rejected, times] = found.slice(1).map((part) => Number(part ?? 0));
  return Array.from({ length: times || 1 }, (_, i) => {
    const context = first + i * positions;
    return { rows: rows || 1, positions, context, rejected, seen: Math.max(context, text) };
  });
});

export class Lane {
  /**
   * @param {core.LaneInfo} info
   * @param {number} index
   */
  constructor(info, index) {
    this.strategy = info.strategy;
    this.name = info.name;
    this.summary = info.summary;
    this.lossless = info.lossless;
    this.elsewhere = info.elsewhere;
    this.searches = info.searches;
    /** Its tokens are chosen by samplers, not by a rule of its own. */
    this.samples = Object.keys(info.sampling ?? {}).length > 0;
    /** Why it cannot be said what its tokens were chosen from; empty where it can be asked (candidates.js). */
    this.noCandidates = info.no_candidates ?? "";
    this.options = info.options;
    this.index = index;
    /** @type {Token[]} */
    this.tokens = [];
    this.seconds = 0;
    this.steps = 0;
    this.levels = 0;
    this.positions = 0;
    this.cache = 0;
    /** @type {number | null} */
    this.ttft = null;
    /** @type {race.Lane["finish_reason"] | null} */
    this.reason = null;
    this.error = "";
    /** @type {race.Divergence | null} */
    this.divergence = null;
    /** @type {Cost} */
    this.current = { seconds: 0, stepSeconds: 0, size: 1, positions: 0, read: 0, bytes: 0, first: 0 };
    /** The chart's: a place for each token, and what stands there. @type {number[]} */
    this.x = [];
    /** @type {number[]} */
    this.latency = [];
    /** @type {number[]} */
    this.elapsed = [];
    /** @type {(number | null)[]} */
    this.bytes = [];
    /** @type {(number | null)[]} */
    this.logprobs = [];
    /** In bits. @type {(number | null)[]} */
    this.entropies = [];
    /** What its text is like. */
    this.figures = new TextFigures();
    /** @type {Pass[]} */
    this.passes = [];
  }

  get count() { return this.tokens.length; }
  /** Positions computed and cache bytes held, which only the machine that decodes can know. */
  get work() { return this.elsewhere ? { positions: null, cache: null } : { positions: this.positions, cache: this.cache }; }
  /** Undefined before a second step has added a token, and in a search, whose tokens do not come one by one. */
  get tpot() { return this.ttft !== null && this.steps > 1 && this.count > 1 ? (this.seconds - this.ttft) / (this.count - 1) : null; }
  get rate() { return this.count && this.seconds > 0 ? this.count / this.seconds : null; }
  /** Seconds of one level of a search, by which its texts grow by one token. */
  get level() { return this.levels ? this.seconds / this.levels : null; }
  /** It ended after its first token, which says nothing of its speed. */
  get cutShort() { return this.count === 1 && this.reason !== null; }

  /**
   * The first token of a step carries the step's cost; `size` tokens share it.
   * @type {(seconds: number, size: number, levels: number, ran: string, held: string, promptTokens: number) => void}
   */
  step(seconds, size, levels, ran, held, promptTokens) {
    const [bytes, exact = bytes] = held.split("/").map(Number);
    const passes = passesOf(ran, promptTokens + this.count, bytes > 0);
    const positions = passes.reduce((sum, pass) => sum + pass.rows * pass.positions, 0);
    const read = passes.reduce((sum, pass) => sum + pass.rows * (pass.context - pass.positions), 0);
    for (const pass of passes) this.passes.push({ first: this.count, size, bytes, exact, ...pass });
    this.seconds += seconds;
    this.positions += positions;
    this.cache = bytes;
    this.steps += 1;
    this.levels += levels;
    if (!this.searches) this.ttft ??= seconds;
    this.current = { seconds: seconds / size, stepSeconds: seconds, size, positions, read, bytes, first: this.count };
  }

  /** @type {(id: number, model: string, text: string, promptTokens: number) => void} */
  token(id, model, text, promptTokens) {
    const [surprise, millibits] = model.split("/");
    const logprob = surprise === "-" ? null : 0 - Number(surprise) / 1000;
    const probability = logprob === null ? null : Math.exp(logprob);
    const entropy = millibits === undefined ? null : Number(millibits) / 1000;
    const token = { id, text, written: text, probability, logprob, entropy, ...this.current };
    this.tokens.push(token);
    this.x.push(promptTokens + this.tokens.length);
    this.latency.push(token.seconds * 1000);
    this.elapsed.push(this.seconds);
    this.bytes.push(this.elsewhere ? null : token.bytes / 1e6);
    this.logprobs.push(logprob);
    this.entropies.push(entropy);
    this.figures.add(id, logprob);
  }
}

/** The method that reads a line, by the line's first character. */
const READERS = /** @type {const} */ ({ "+": "more", "=": "written", T: "rest", P: "prepare", S: "started", D: "diverged", E: "ended",
  V: "finished", X: "refused", N: "notice" });

export class Race {
  /** @type {Start | null} */
  #start = null;
  /** @type {Lane | null} */
  #current = null;

  /** @param {string} run */
  constructor(run) {
    this.run = run;
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
