// What is asked of the server: one panel at a time, those first that are in view. An answer is kept until what it depends on changes.

/** @typedef {keyof inside.Panels} PanelName */
/** What is drawn of the document. @typedef {Pick<inside.InsideDocument, "status" | "model" | "prompt" | "settings" | "panels">} Drawn */
/**
 * A panel that could be computed.
 * @template {PanelName} Name
 * @typedef {Exclude<NonNullable<inside.Panels[Name]>, inside.Cannot>} Computed
 */
/**
 * What a panel is told. `text` is what is being done, or one sentence on why there is nothing. While it is being worked on
 * there may be a part of it.
 * @template {PanelName} [Name=PanelName]
 * @typedef {{ state: "shown", panel: Computed<Name>, document: Drawn, text?: undefined }
 *   | { state: "working", text?: string, document?: Drawn, panel?: Computed<Name> }
 *   | { state: "cannot" | "error" | "stopped" | "stale", text?: string, document?: Drawn, panel?: undefined }} Answer
 */
/**
 * What asks for a panel: the keys of the form and the settings of its own on which it depends.
 * @template {PanelName} [Name=PanelName]
 * @typedef {{ form: string[], varied: string[], take(answer: Answer<Name>): void }} Ask
 */
/**
 * What the server says (kvdemo/web/tabs/inside_events.py says what each means).
 * @typedef {{ asked: number | null, text: string, fraction: number | null, answer: string | null, error: string | null, over: boolean, notices: string[] }} State
 */
/**
 * A question that was put: its panel, what its answer stands for, the part of it that came last, and the last state;
 * `replaced` if another is to follow; how often it was told to stop.
 * @typedef {{ name: PanelName, number: number, key: string, part: string | null, state: State | null, ended: boolean, replaced: boolean, stops: number }} Running
 */

/** After its event has ended, an answer may still be on its way to the element. */
const PATIENCE = 2000;
const LOST = "The connection to the server was lost: press Show to ask again.";

export class Questions {
  /**
   * @param {object} how
   * @param {string[]} how.keys the form's keys, in its order
   * @param {Record<string, number>} how.varied the settings that the panels vary, as they are now
   * @param {() => number[]} [how.continuation] tokens behind the text, which take the place of those that the model would write
   * @param {() => void} how.fire puts a question: has `question` called for its content
   * @param {() => void} how.stop ends the run that is under way
   * @param {(busy: boolean) => void} how.busy
   */
  constructor({ keys, varied, fire, stop, busy, continuation = () => [] }) {
    this.keys = keys;
    this.varied = varied;
    this.fire = fire;
    this.end = stop;
    this.busy = busy;
    this.continuation = continuation;
    /** @type {Map<PanelName, Ask>} */
    this.asks = new Map();
    /** What each answer stands for. @type {Map<PanelName, string>} */
    this.kept = new Map();
    /** @type {Set<PanelName>} */
    this.wanted = new Set();
    /** What the model wrote in the steps that are shown. @type {number[]} */
    this.wrote = [];
    /** The form's values by key, once they are known. @type {Record<string, unknown> | null} */
    this.form = null;
    this.ready = false;
    /** The form is being filled: what it holds now is not to be asked about. */
    this.held = false;
    this.halted = false;
    /** @type {Running | null} */
    this.running = null;
    this.replacing = false;
    this.number = 0;
  }

  /**
   * @template {PanelName} Name
   * @param {Name} name
   * @param {Ask<Name>} ask
   */
  add(name, ask) { this.asks.set(name, ask); }

  /** @param {PanelName} name */
  #ask(name) {
    const ask = this.asks.get(name);
    if (!ask) throw new Error(`Nothing asks for a panel ${name}.`);
    return ask;
  }

  /** A panel came into view, or left it.
   * @param {PanelName} name */
  want(name, wanted = true) {
    if (wanted) this.wanted.add(name);
    else this.wanted.delete(name);
    this.next();
  }

  /** Asks for a panel before all others.
   * @param {PanelName} name */
  first(name) {
    this.wanted = new Set([name, ...this.wanted]);
    this.next();
  }

  /** What an answer stands for: all on which it depends.
   * @type {(name: PanelName) => string} */
  key(name) {
    const { form, varied } = this.#ask(name);
    return JSON.stringify([...form.map((key) => this.form?.[key] ?? null), ...varied.map((key) => this.varied[key]), this.#written(name)]);
  }

  /**
   * The tokens that are given, for a panel that is about what the model writes. What the steps show was written already:
   * the weights of another layer or head need not have it written again.
   * @type {(name: PanelName) => number[]}
   */
  #written(name) {
    const given = this.#ask(name).form.includes("max_new_tokens") ? this.continuation() : [];
    const known = name === "attention" && !given.length && this.asks.has("steps") && this.kept.get("steps") === this.key("steps");
    return known ? this.wrote : given;
  }

  /** Asks for the first panel that is wanted and not there. */
  next() {
    if (!this.ready || this.held || this.halted || this.running) return;
    const name = [...this.wanted].find((one) => this.kept.get(one) !== this.key(one));
    this.busy(Boolean(name));
    if (!name) return;
    this.number += 1;
    this.running = { name, number: this.number, key: "", part: null, state: null, ended: false, replaced: false, stops: 0 };
    this.#ask(name).take({ state: "working", text: "" });
    this.fire();
  }

  /** The content of the question that was just put: the form's values, and in place of the last what is asked for.
   * @param {unknown[]} values */
  question(values) {
    const { running } = this;
    if (!running) throw new Error("No question was put.");
    const { name, number } = running;
    this.#learn(values);
    running.key = this.key(name);
    const varied = Object.fromEntries(this.#ask(name).varied.map((key) => [key, this.varied[key]]));
    const written = this.#written(name);
    const given = written.length ? { continuation: written } : {};
    return [...values.slice(0, this.keys.length), JSON.stringify({ ...varied, ...given, panels: [name], asked: number })];
  }

  /** @param {unknown[]} values */
  #learn(values) { this.form = Object.fromEntries(this.keys.map((key, i) => [key, values[i]])); }

  /** A state from the server.
   * @param {State} state */
  take(state) {
    const { running } = this;
    if (!running || state.asked !== running.number) return;
    // A Stop that came before the server had begun found nothing to stop there.
    if (running.stops === 1 && !state.over) {
      this.replacing = running.replaced;
      this.end();
    }
    if (!state.over) return this.#draw(running, state);
    running.state = state;
    if (running.ended) this.#finish(running);
  }

  /** Has what there is so far drawn, once each.
   * @type {(running: Running, state: State) => void} */
  #draw(running, { text, answer }) {
    /** @type {Drawn | null} */
    const document = answer && answer !== running.part ? JSON.parse(answer) : null;
    const panel = document?.panels[running.name];
    running.part = answer;
    this.#ask(running.name).take(document && panel && !("cannot" in panel) ? { state: "working", text, panel, document } : { state: "working", text });
  }

  /** The event has ended. */
  answered() {
    const { running } = this;
    if (!running) return;
    running.ended = true;
    if (running.state) this.#finish(running);
    else setTimeout(() => this.running === running && this.#finish(running), PATIENCE);
  }

  /** @param {Running} over */
  #finish({ name, key, state }) {
    this.running = null;
    /** @type {Drawn | null} */
    const document = state?.answer ? JSON.parse(state.answer) : null;
    const panel = document?.panels[name];
    this.kept.set(name, key);
    const steps = document?.panels.steps;
    if (name === "steps") this.wrote = steps && "tokens" in steps ? steps.tokens.slice(steps.prompt_tokens) : [];
    const { take } = this.#ask(name);
    if (!state) take({ state: "error", text: LOST });
    else if (state.error) take({ state: "error", text: state.error });
    else if (document && panel) take("cannot" in panel ? { state: "cannot", text: panel.cannot, document } : { state: "shown", panel, document });
    else if (document?.status === "done") take({ state: "error", text: "This server does not compute this panel." });
    else take({ state: "stopped", text: "Stopped before this was computed." });
    if (this.halted) this.busy(false);
    this.next();
  }

  /** The form has changed: what depends on it is asked again, and a run for what it was is ended.
   * @param {unknown[]} values */
  change(values) {
    this.#learn(values);
    this.#renew();
  }

  /** A setting that panels vary has changed. */
  vary() { this.#renew(); }

  #renew() {
    this.halted = false;
    for (const [name, kept] of this.kept) if (kept !== this.key(name)) this.#ask(name).take({ state: "stale" });
    const { running } = this;
    if (running?.key && !running.replaced && running.key !== this.key(running.name)) {
      running.replaced = true;
      this.replacing = true;
      this.end();
    }
    this.next();
  }

  /** The reader pressed Stop: nothing more is asked before something changes or is asked for. */
  stop() {
    if (this.running) this.running.stops += 1;
    if (!this.replacing) this.halted = true;
    this.replacing = false;
  }

  /** The reader pressed Show: what is not shown is asked for again.
   * @param {PanelName[]} missing */
  show(missing) {
    this.halted = false;
    for (const name of missing) this.kept.delete(name);
    this.next();
  }
}
