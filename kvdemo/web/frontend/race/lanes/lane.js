// A lane as data: its tokens, their costs, and running sums over them. Nothing here draws.
import { TextFigures } from "./text_figures.js";

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
    /** Why it cannot be said what its tokens were chosen from; empty where it can be asked (race/token/candidates.js). */
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
