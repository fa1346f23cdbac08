// The Inside tab: its panels in order, each asked for when it comes into view; the form's changes; the link; what a race hands over.
import { emit, on } from "../base/bus.js";
import { el } from "../base/dom.js";
import { given } from "../base/given.js";
import { modelStatus } from "../base/status.js";
import { Strip } from "../base/strip.js";
import { insideActions } from "../form/actions.js";
import { share } from "../form/share.js";
import { currentTab } from "../shell/tabs.js";
import { PANELS } from "./panels.js";
import { Questions } from "./questions.js";
import { Settings } from "./settings.js";
import { Shell } from "./shell.js";

const HEADLINE = "Why the cache works, on your text and this model.";
const TEXT = "Nothing here is a drawing of an example: each panel is computed by the model in the form when it comes into view.";
/** The form comes to rest before it is asked about. */
const REST = 600;
/** Of the window's height, how far below it a panel is asked for. */
const AHEAD = "0px 0px 20% 0px";

class Inside {
  constructor(element, fire, facts) {
    this.facts = facts;
    this.settings = new Settings(facts.varied);
    this.questions = new Questions({
      keys: facts.form, varied: this.settings.values, fire,
      stop: () => insideActions.pressStop(), busy: (busy) => this.#busy(busy),
    });
    given.question = (values) => this.questions.question(values);
    this.model = null;
    this.strip = new Strip("Inside");
    this.strip.say("idle", { headline: HEADLINE, text: TEXT });
    this.shells = new Map();
    for (const [index, panel] of PANELS.entries()) {
      const shell = new Shell(panel, index + 1, this);
      this.shells.set(panel.name, shell);
      this.questions.add(panel.name, { ...panel, take: (answer) => this.#take(shell, answer) });
    }
    const shown = [...this.shells.values()];
    this.strip.element.append(el("nav", { class: "kv-insidenav", "aria-label": "Panels" }, ...shown.map(({ panel }) => el(
      "button", { type: "button", class: "kv-choice", onclick: () => this.open(panel.name) }, panel.title))));
    this.root = el("div", { class: "kv-sheet kv-inside" }, this.strip.element, ...shown.map((shell) => shell.element));
    element.firstElementChild.replaceChildren(this.root);
    this.#watch();
  }

  #busy(busy) { if (busy !== insideActions.running) insideActions.busy(busy); }

  #watch() {
    const watcher = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) this.questions.want(target.id.replace("kv-i-", ""), isIntersecting);
    }, { rootMargin: AHEAD });
    for (const { element } of this.shells.values()) watcher.observe(element);
  }

  #take(shell, answer) {
    shell.take(answer);
    const model = answer.document?.model;
    if (!model || JSON.stringify(model) === this.model) return;
    this.model = JSON.stringify(model);
    emit("model", model);
  }

  /** Once the form holds what a link asks for. */
  ready() {
    if (this.questions.ready) return;
    this.questions.ready = true;
    if (this.shells.has(this.settings.panel)) this.open(this.settings.panel);
    this.questions.next();
  }

  /** Goes to a panel; the address has it. */
  open(name) {
    const { element, heading } = this.shells.get(name);
    this.settings.at({ panel: name });
    element.scrollIntoView({ block: "start" });
    heading.focus({ preventScroll: true });
  }

  /** A panel's own setting; what depends on it is asked again. */
  vary(key, value) { if (this.settings.set(key, value)) this.questions.vary(); }

  /** The form changed; it is asked about when it rests. */
  change(values) {
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.questions.change(values), REST);
  }

  show() { this.questions.show([...this.shells].filter(([, { state }]) => state !== "shown").map(([name]) => name)); }

  take(state) {
    if (!state) return;
    if (state.notices.length) this.strip.warn(state.notices.join("\n"), null, "notice");
    this.questions.take(state);
  }

  share(about, values) {
    const named = Object.entries(this.settings.named).filter(([, value]) => value !== null);
    const names = Object.fromEntries(named.map(([name]) => [`page ${name}`, name]));
    share({ ...about, names: { ...about.names, ...names }, keys: [...about.keys, ...Object.keys(names)] }, [...values, ...named.map(([, value]) => value)]);
  }
}

/** @type {Inside | null} */
let inside = null;

const begin = () => {
  const status = modelStatus();
  // What is on the page before the load event has answered does not say whether to run.
  if (inside && status && "run" in status && currentTab() === "inside") setTimeout(() => inside.ready(), 100);
};
on("status", begin);
on("tab", begin);

/** Called once by Gradio when the element is on the page. */
export const drawInside = (element, props, watch, fire, facts) => {
  inside = new Inside(element, fire, facts);
  watch("value", () => inside.take(props.value));
  inside.take(props.value);
  begin();
};
export const answeredInside = () => inside?.questions.answered();
export const changeInside = (values) => inside?.change(values);
export const showInside = () => inside?.show();
export const stopInside = () => inside?.questions.stop();
export const shareInside = (about, values) => inside?.share(about, values);

/** An element without a look: puts what a race hands over into the form. */
let fill = () => {};
export const drawHandedOver = (_element, _props, _watch, put) => { fill = put; };
export const handOver = (values) => {
  given.handed = values;
  fill();
};
