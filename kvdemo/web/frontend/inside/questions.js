// What is asked of the server: one panel at a time, those first that are in view. An answer is kept until what it depends on changes.

/**
 * What asks for a panel.
 * @typedef {object} Ask
 * @property {string[]} form the keys of the form on which the panel depends
 * @property {string[]} varied the settings of its own on which it depends
 * @property {(answer: Answer) => void} take
 *
 * @typedef {object} Answer
 * @property {"working" | "shown" | "cannot" | "error" | "stopped" | "stale"} state
 * @property {string} [text] what is being done, or one sentence on why there is nothing
 * @property {any} [panel]
 * @property {any} [document]
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
    /** @type {Map<string, Ask>} */
    this.asks = new Map();
    /** @type {Map<string, string>} */
    this.kept = new Map();
    this.wanted = new Set();
    /** What the model wrote in the steps that are shown. @type {number[]} */
    this.wrote = [];
    this.form = null;
    this.ready = false;
    /** The form is being filled: what it holds now is not to be asked about. */
    this.held = false;
    this.halted = false;
    /** @type {any} */
    this.running = null;
    this.replacing = false;
    this.number = 0;
  }

  /** @type {(name: string, ask: Ask) => void} */
  add(name, ask) { this.asks.set(name, ask); }

  /** A panel came into view, or left it. */
  want(name, wanted = true) {
    if (wanted) this.wanted.add(name);
    else this.wanted.delete(name);
    this.next();
  }

  /** Asks for a panel before all others. */
  first(name) {
    this.wanted = new Set([name, ...this.wanted]);
    this.next();
  }

  /** What an answer stands for: all on which it depends. */
  key(name) {
    const { form, varied } = this.asks.get(name);
    return JSON.stringify([...form.map((key) => this.form?.[key] ?? null), ...varied.map((key) => this.varied[key]), this.#written(name)]);
  }

  /**
   * The tokens that are given, for a panel that is about what the model writes. What the steps show was written already:
   * the weights of another layer or head need not have it written again.
   */
  #written(name) {
    const given = this.asks.get(name).form.includes("max_new_tokens") ? this.continuation() : [];
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
    this.running = { name, number: this.number, key: "", state: null, ended: false };
    this.asks.get(name).take({ state: "working", text: "" });
    this.fire();
  }

  /** The content of the question that was just put: the form's values, and in place of the last what is asked for. */
  question(values) {
    const { name, number } = this.running;
    this.#learn(values);
    this.running.key = this.key(name);
    const varied = Object.fromEntries(this.asks.get(name).varied.map((key) => [key, this.varied[key]]));
    const written = this.#written(name);
    const given = written.length ? { continuation: written } : {};
    return [...values.slice(0, this.keys.length), JSON.stringify({ ...varied, ...given, panels: [name], asked: number })];
  }

  #learn(values) { this.form = Object.fromEntries(this.keys.map((key, i) => [key, values[i]])); }

  /** A state from the server (kvdemo/web/tabs/inside_events.py). */
  take(state) {
    const { running } = this;
    if (!running || state.asked !== running.number) return;
    if (!state.over) return void this.asks.get(running.name).take({ state: "working", text: state.text });
    running.state = state;
    if (running.ended) this.#finish();
  }

  /** The event has ended. */
  answered() {
    const { running } = this;
    if (!running) return;
    running.ended = true;
    if (running.state) this.#finish();
    else setTimeout(() => this.running === running && this.#finish(), PATIENCE);
  }

  #finish() {
    const { name, key, state } = this.running;
    this.running = null;
    const document = state?.answer ? JSON.parse(state.answer) : null;
    const panel = document?.panels[name];
    this.kept.set(name, key);
    if (name === "steps") this.wrote = panel?.tokens?.slice(panel.prompt_tokens) ?? [];
    const { take } = this.asks.get(name);
    if (!state) take({ state: "error", text: LOST });
    else if (state.error) take({ state: "error", text: state.error });
    else if (!panel && document?.status === "done") take({ state: "error", text: "This server does not compute this panel." });
    else if (!panel) take({ state: "stopped", text: "Stopped before this was computed." });
    else if ("cannot" in panel) take({ state: "cannot", text: panel.cannot, document });
    else take({ state: "shown", panel, document });
    if (this.halted) this.busy(false);
    this.next();
  }

  /** The form has changed: what depends on it is asked again, and a run for what it was is ended. */
  change(values) {
    this.#learn(values);
    this.#renew();
  }

  /** A setting that panels vary has changed. */
  vary() { this.#renew(); }

  #renew() {
    this.halted = false;
    for (const [name, kept] of this.kept) if (kept !== this.key(name)) this.asks.get(name).take({ state: "stale" });
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
    if (!this.replacing) this.halted = true;
    this.replacing = false;
  }

  /** The reader pressed Show: what is not shown is asked for again. */
  show(missing) {
    this.halted = false;
    for (const name of missing) this.kept.delete(name);
    this.next();
  }
}
