// The race as data: lines of the wire format (kvdemo/web/wire.py) in, running sums out. Nothing here draws.

const ESCAPES = { "~": "~", n: "\n", l: "<" };
const unescaped = (text) => (text.includes("~") ? text.replace(/~([~nl])/g, (_, c) => ESCAPES[c]) : text);

/** Splits off the first `n` fields; what follows them is free text, spaces and all. */
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

export class Lane {
  /**
   * @param {LaneFacts} info
   * @param {number} index
   */
  constructor(info, index) {
    this.strategy = info.strategy;
    this.name = info.name;
    this.summary = info.summary;
    this.lossless = info.lossless;
    this.elsewhere = info.elsewhere;
    this.searches = info.searches;
    this.index = index;
    /** @type {any[]} */
    this.tokens = [];
    this.seconds = 0;
    this.steps = 0;
    this.levels = 0;
    this.positions = 0;
    this.cache = 0;
    this.ttft = null;
    this.reason = null;
    this.error = "";
    this.divergence = null;
    this.x = [];
    this.latency = [];
    this.elapsed = [];
    this.bytes = [];
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
  get status() {
    if (this.reason) return this.reason;
    return this.count ? "decoding" : "waiting";
  }

  /** The first token of a step carries the step's cost; `size` tokens share it. */
  step(seconds, size, levels, positions, bytes) {
    this.seconds += seconds;
    this.positions += positions;
    this.cache = bytes;
    this.steps += 1;
    this.levels += levels;
    if (!this.searches) this.ttft ??= seconds;
    this.current = { seconds: seconds / size, stepSeconds: seconds, size, positions, bytes, first: this.count };
  }

  token(id, surprise, text, promptTokens) {
    const probability = surprise === "-" ? null : Math.exp(-surprise / 1000);
    const token = { id, text, written: text, probability, ...this.current };
    this.tokens.push(token);
    this.x.push(promptTokens + this.tokens.length);
    this.latency.push(token.seconds * 1000);
    this.elapsed.push(this.seconds);
    this.bytes.push(this.elsewhere ? null : token.bytes / 1e6);
  }
}

export class Race {
  constructor(run) {
    this.run = run;
    this.phase = "preparing"; // then racing, finished, refused, or notice
    this.progress = null;
    this.start = null;
    /** @type {Lane[]} */
    this.lanes = [];
    this.interrupted = false;
    this.verdict = null;
    this.refusal = null;
    this.notices = [];
    this.fastest = Infinity;
  }

  feed(line) {
    const kind = line[0];
    if (kind >= "0" && kind <= "9") return this.#step(line);
    const read = { "+": "more", "=": "written", T: "rest", P: "prepare", S: "started", D: "diverged", E: "ended", V: "finished" };
    const method = { ...read, X: "refused", N: "notice" }[kind];
    if (method) this[method](line);
  }

  #step(line) {
    const [lane, id, cost, positions, bytes, surprise, text] = fields(line, 6);
    const [whole, levels] = cost.split("/");
    const [micros, size] = whole.split("*");
    this.current = this.lanes[+lane];
    this.current.step(+micros / 1e6, +(size ?? 1), +(levels ?? 0), +positions, +bytes);
    this.current.token(+id, surprise, text, this.start.prompt_tokens);
    // Tokens of another machine come in bursts, next to which every step here would look slow.
    if (!this.current.elsewhere || this.lanes.every((other) => other.elsewhere)) this.fastest = Math.min(this.fastest, this.current.current.seconds);
  }

  more(line) {
    const [, id, surprise, text] = fields(line, 3);
    this.current.token(+id, surprise, text, this.start.prompt_tokens);
  }

  written(line) { this.current.tokens.at(-1).written = unescaped(line.slice(2)); }

  /** The text that was still waiting when a lane ended: its last token's. */
  rest(line) {
    const [, lane, text] = fields(line, 2);
    const token = this.lanes[+lane].tokens.at(-1);
    token.text += text;
    token.written += text;
  }

  prepare(line) {
    const [, permille, text] = fields(line, 2);
    this.progress = { text, fraction: permille === "-" ? null : permille / 1000 };
  }

  started(line) {
    this.start = JSON.parse(line.slice(2));
    this.lanes = this.start.lanes.map((info, index) => new Lane(info, index));
    this.phase = "racing";
  }

  diverged(line) {
    const { lane, ...divergence } = JSON.parse(line.slice(2));
    this.lanes[lane].divergence = divergence;
  }

  ended(line) {
    const [, lane, reason, error] = fields(line, 3);
    Object.assign(this.lanes[+lane], { reason, error });
  }

  finished(line) {
    this.verdict = JSON.parse(line.slice(2));
    this.phase = "finished";
  }

  refused(line) {
    this.refusal = JSON.parse(line.slice(2));
    this.phase = "refused";
  }

  notice(line) {
    this.notices.push(unescaped(line.slice(2)));
    this.phase = "notice";
  }

  get running() { return this.phase === "preparing" || this.phase === "racing"; }

  /**
   * Baseline seconds over the lane's, both at the smaller of the two token counts. Null where that means nothing: with
   * unequal counts a search, of which only the whole compares, and a lane that ended after its first token.
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
