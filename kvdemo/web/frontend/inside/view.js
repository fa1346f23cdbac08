// The Inside tab: its panels in order, each asked for when it comes into view; the form's changes; the link; what a race hands over.
import { emit, on } from "../base/bus.js";
import { el, mount } from "../base/dom.js";
import { given } from "../base/event_data.js";
import { modelStatus } from "../base/status.js";
import { Strip } from "../base/strip.js";
import { insideActions } from "../form/actions.js";
import { share } from "../form/share.js";
import { currentTab, visitTab } from "../shell/tabs.js";
import { Contents } from "./contents.js";
import { PANELS } from "./panels.js";
import { Questions } from "./questions.js";
import { Settings } from "./settings.js";
import { PanelFrame } from "./panel_frame.js";

const HEADLINE = "Why the cache works, on your text and this model.";
const TEXT = "Nothing here is a drawing of an example: each panel is computed by the model in the form when it comes into view.";
/** The form comes to rest before it is asked about. */
const REST = 600;
/** Filling it takes no longer. */
const FILLED = 2500;
/** So long after its own answer, and after that of the panels beside it, the panel that was opened is held in its place. */
const SETTLED = 3000;
/** Of the window's height, how far below it a panel is asked for. */
const AHEAD = "0px 0px 20% 0px";

/** @typedef {import("./questions.js").State} State */
/** @typedef {import("../form/share.js").About} About */
/**
 * What the tab has to know (kvdemo/web/tabs/inside.py).
 * @typedef {object} Facts
 * @property {string[]} form the form's keys, in its order
 * @property {Record<string, string>} names their names in a link
 * @property {Record<string, import("./settings.js").Varied>} varied what the panels vary
 * @property {Record<string, string>} models the names that the form has for models, by their ids
 */

class Inside {
  /**
   * @param {HTMLElement} element
   * @param {() => void} fire
   * @param {Facts} facts
   */
  constructor(element, fire, facts) {
    this.facts = facts;
    this.settings = new Settings(facts.varied);
    this.questions = new Questions({
      keys: facts.form, varied: this.settings.values, continuation: () => this.settings.continuation, fire,
      stop: () => insideActions.pressStop(), busy: (busy) => this.#busy(busy),
    });
    given.question = (values) => this.questions.question(values);
    /** The model that answered last, as JSON. @type {string | null} */
    this.model = null;
    /** The panel that was opened, until the reader moves. @type {HTMLElement | null} */
    this.anchor = null;
    /** What a race handed over, by key of the form; null where the model writes by itself. @type {Record<string, unknown> | null} */
    this.handed = null;
    this.lane = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.rest = undefined;
    this.strip = new Strip("Inside");
    this.strip.say("idle", { headline: HEADLINE, text: TEXT });
    /** @type {Map<string, PanelFrame>} */
    this.frames = new Map();
    for (const [index, panel] of PANELS.entries()) {
      const frame = new PanelFrame(panel, index + 1, this);
      this.frames.set(panel.name, frame);
      this.questions.add(panel.name, { ...panel, take: (answer) => this.#take(frame, answer) });
    }
    const shown = [...this.frames.values()];
    this.contents = new Contents(shown, (frame, part) => this.open(frame, part));
    this.root = el("div", { class: "kv-sheet kv-inside" }, this.strip.element, this.contents.element, ...shown.map((frame) => frame.element));
    mount(element, this.root);
    this.#watch();
    this.#stand();
  }

  /** A link to a panel shows it from the start, before anything can be asked for. */
  #stand() {
    const frame = currentTab() === "inside" ? this.#named(this.settings.panel ?? "") : undefined;
    if (!frame) return;
    this.anchor = frame.element;
    this.#hold();
  }

  /** @param {boolean} busy */
  #busy(busy) { if (busy !== insideActions.running) insideActions.busy(busy); }

  #watch() {
    const frames = [...this.frames.values()];
    const watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const frame = frames.find(({ element }) => element === target);
        if (frame) this.questions.want(frame.panel.name, isIntersecting);
      }
    }, { rootMargin: AHEAD });
    for (const { element } of frames) watcher.observe(element);
    // What is above the panel that was opened may grow, with its answer or with the form: until the reader moves, the opened one stays.
    const held = new ResizeObserver(() => this.#hold());
    for (const element of [this.root, document.body]) held.observe(element);
    for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) addEventListener(name, () => { this.anchor = null; }, { passive: true });
  }

  /** @type {(frame: PanelFrame, answer: import("./questions.js").Answer) => void} */
  #take(frame, answer) {
    frame.take(answer);
    this.#settle(frame, answer);
    const model = answer.document?.model;
    if (!model || JSON.stringify(model) === this.model) return;
    this.model = JSON.stringify(model);
    emit("model", model);
  }

  /** Keeps the panel that was opened where it is while others around it get their pictures. */
  #hold() { this.anchor?.scrollIntoView({ block: this.anchor.matches(".kv-panel") ? "start" : "center" }); }

  /** The panel that was opened has its own answer: it is held a little longer.
   * @type {(frame: PanelFrame, answer: import("./questions.js").Answer) => void} */
  #settle({ element }, { state }) {
    this.#hold();
    if (state === "working" || state === "stale" || !this.anchor) return;
    if (element.contains(this.anchor)) this.#release(element);
  }

  /** Lets go of the panel that was opened, a little after the last of those in view has its answer.
   * @param {HTMLElement} element */
  #release(element) {
    setTimeout(() => {
      if (!this.anchor || !element.contains(this.anchor)) return;
      if (this.questions.running) this.#release(element);
      else this.anchor = null;
    }, SETTLED);
  }

  /** Once the form holds what a link asks for. */
  ready(handedOver = false) {
    if (this.questions.ready) return;
    this.questions.ready = true;
    if (handedOver) return;
    if (!this.#openNamed(this.settings.panel ?? "")) this.questions.next();
  }

  /** Goes to a panel, or to a part of it; the address has it.
   * @type {(frame: PanelFrame, part?: import("./panel_frame.js").Part) => void} */
  open({ panel: { name }, element, heading }, part) {
    this.settings.at({ panel: part?.name ?? name });
    this.anchor = part?.element ?? element;
    part?.open();
    this.#hold();
    heading.focus({ preventScroll: true });
    this.questions.first(name);
  }

  /** The panel that has this name, or a part of this name.
   * @param {string} name */
  #named(name) { return this.frames.get(name) ?? [...this.frames.values()].find(({ picture }) => picture.part?.name === name); }

  /** Goes to the panel, or the part of one, that has this name; tells whether there is one.
   * @param {string} name */
  #openNamed(name) {
    const frame = this.#named(name);
    if (frame) this.open(frame, frame.panel.name === name ? undefined : frame.picture.part);
    return Boolean(frame);
  }

  /** A panel's own setting; what depends on it is asked again.
   * @type {(key: string, value: number) => void} */
  vary(key, value) { if (this.settings.set(key, value)) this.questions.vary(); }

  /** The form changed; it is asked about when it rests.
   * @param {unknown[]} values */
  change(values) {
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      const form = Object.fromEntries(this.facts.form.map((key, i) => [key, values[i]]));
      // Tokens of a race belong to the text and the model that it had.
      if (this.handed && Object.entries(this.handed).some(([key, value]) => form[key] !== value)) this.#give([], null);
      this.questions.held = false;
      this.questions.change(values);
    }, REST);
  }

  /**
   * Shows a panel on what a race was about; `reader` has it by its name in a link, `continuation` the tokens that a lane wrote.
   * @param {BusEvents["why"]} asked
   */
  takeOver({ panel, reader, continuation = [], lane = "" }) {
    const { names, models } = this.facts;
    const asked = Object.fromEntries(this.facts.form.filter((key) => reader[names[key]] !== undefined).map((key) => [
      key, key === "chat" ? reader[names[key]] === "1" : reader[names[key]]]));
    if (typeof asked.model === "string") asked.model = models[asked.model] ?? asked.model;
    /** @type {Record<string, unknown>} */
    const handed = continuation.length ? { ...asked, max_new_tokens: continuation.length } : asked;
    this.#give(continuation, continuation.length ? handed : null, lane);
    given.handed = (values) => this.facts.form.map((key, i) => handed[key] ?? values[i]);
    this.questions.held = true;
    fill?.();
    // A form that held all of it already does not report a change.
    setTimeout(() => {
      this.questions.held = false;
      this.questions.vary();
    }, FILLED);
    if (continuation.length) this.settings.at({ step: 1 });
    this.contents.cameFromRace();
    this.#openNamed(panel);
  }

  /** Takes tokens in place of those that the model would write; [] for those.
   * @type {(tokens: number[], handed: Record<string, unknown> | null, lane?: string) => void} */
  #give(tokens, handed, lane = "") {
    this.settings.continuation = tokens;
    this.handed = handed;
    this.lane = lane;
  }

  /** The tokens are the model's own again. */
  letGo() {
    this.#give([], null);
    this.questions.vary();
  }

  show() { this.questions.show([...this.frames.values()].filter(({ state }) => state !== "shown").map(({ panel }) => panel.name)); }

  /** @param {State | null} state */
  take(state) {
    if (!state) return;
    if (state.notices.length) this.strip.warn(state.notices.join("\n"), null, "notice");
    this.questions.take(state);
  }

  /** Shares a link that leads here.
   * @type {(about: About, values: unknown[]) => void} */
  share(about, values) {
    const named = Object.entries(this.settings.named).filter(([, value]) => value !== null);
    const names = Object.fromEntries(named.map(([name]) => [`page ${name}`, name]));
    share({ ...about, names: { ...about.names, ...names }, keys: [...about.keys, ...Object.keys(names)], always: [...about.always, ...Object.keys(names)] }, [...values, ...named.map(([, value]) => value)]);
  }
}

/** @type {Inside | null} */
let inside = null;
/** Fires the event that fills the form; null until its element is on the page. @type {(() => void) | null} */
let fill = null;
/** What is asked for before the tab is there. @type {BusEvents["why"] | null} */
let pending = null;

const takeOver = () => {
  if (!pending || !fill || !inside?.questions.ready) return;
  inside.takeOver(pending);
  pending = null;
};
/** Opens the tab on what a race was about.
 * @param {BusEvents["why"]} asked */
export const explain = (asked) => {
  pending = asked;
  visitTab("inside");
  takeOver();
};

const begin = () => {
  const status = modelStatus();
  // What is on the page before the load event has answered does not say whether to run.
  if (!inside || !status || !("run" in status) || currentTab() !== "inside") return;
  setTimeout(() => {
    inside?.ready(Boolean(pending));
    takeOver();
  }, 100);
};
on("status", begin);
on("tab", begin);

/** Called once by Gradio when the element is on the page.
 * @type {DrawElement<State | null, Facts>} */
export const drawInside = (element, props, watch, fire, facts) => {
  const shown = new Inside(element, fire, facts);
  inside = shown;
  watch("value", () => shown.take(props.value));
  shown.take(props.value);
  begin();
};
export const answeredInside = () => inside?.questions.answered();
/** @param {unknown[]} values */
export const changeInside = (values) => inside?.change(values);
export const showInside = () => inside?.show();
export const stopInside = () => inside?.questions.stop();
/** @type {(about: About, values: unknown[]) => void} */
export const shareInside = (about, values) => inside?.share(about, values);

/** An element without a look: puts what a race hands over into the form.
 * @type {DrawElement<string, null>} */
export const drawHandedOver = (_element, _props, _watch, put) => {
  fill = put;
  takeOver();
};
