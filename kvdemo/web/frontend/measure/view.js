// The Measure tab: takes in the state (kvdemo/web/tabs/measure_events.py), says how far it is, and lets the parts draw the document.
import { emit, on } from "../base/bus.js";
import { el, mount, present, write } from "../base/dom.js";
import { format } from "../base/format.js";
import { given } from "../base/event_data.js";
import { Strip } from "../base/strip.js";
import { ask } from "../form/follow.js";
import { currentTab, setAddress } from "../shell/tabs.js";
import { Report } from "./report.js";

const IDLE = {
  headline: "Numbers that hold up.",
  text: "The race shows what happened once. Here each lane runs several times, alone on the device, and every figure comes with its scatter. The baseline is the model without a cache on the same tokens; the race’s Re-encode also turns its text into tokens again each step.",
};
const STEPS = [
  ["The device", "Its memory bandwidth, arithmetic and launch overhead are measured first: they are what each lane is compared with."],
  ["Warm-up", "Each lane runs once at full length, unmeasured, until clocks, memory and kernels have settled."],
  ["Repeats", "The lanes take turns in an order that alternates. The table fills after each run; Stop keeps what is done."],
  ["What it means", "A speed-up with its interval, how far each lane is from the predicted floor, and why; with a sweep, where the cache pays."],
];
const LAST = "kvdemo.measurement";
/** @type {Record<string, string>} */
const HEADLINES = { done: "Measured", stopped: "Stopped", failed: "The measurement broke off", running: "Measuring" };

/** localStorage may be forbidden; then there is no last measurement to offer. */
/** @param {string} run */
const remember = (run) => { try { localStorage.setItem(LAST, run); } catch { /* forbidden */ } };
const remembered = () => { try { return localStorage.getItem(LAST); } catch { return null; } };

class Measure {
  /** @type {MeasureState | null} */
  state = null;
  /** The measurement that is shown: its id, and the last document that came. */
  run = "";
  /** @type {DrawnMeasurement | null} */
  document = null;
  /** By the browser's clock: when the state came, and when the measurement is expected to end. */
  began = 0;
  /** @type {number | null} */
  until = null;

  /**
   * @param {HTMLElement} element
   * @param {() => void} reopen
   */
  constructor(element, reopen) {
    this.reopen = reopen;
    this.strip = new Strip("Measurement");
    this.left = el("span", { class: "kv-left", role: "timer" });
    this.subject = el("p", { class: "kv-subject", hidden: true });
    this.strip.element.append(this.subject);
    this.report = new Report();
    this.again = el("p", { class: "kv-again", hidden: !remembered() }, "Your last measurement is still here.",
      el("button", { type: "button", class: "kv-button", onclick: () => this.find(remembered()) }, "Show it"));
    this.start = el("section", { class: "kv-start-here", "aria-label": "What will happen" },
      el("ol", {}, ...STEPS.map(([name, text]) => el("li", {}, el("b", {}, name), text))), this.again);
    this.root = el("div", { class: "kv-sheet kv-measure" }, this.strip.element, this.start, this.report.element);
    mount(element, this.root);
    this.strip.say("idle", IDLE);
    setInterval(() => this.#countDown(), 1000);
  }

  /** Asks the server for a measurement that was started before.
   * @param {string | null} run */
  find(run) {
    given.run = run;
    this.strip.work("", null, "Looking for the measurement");
    this.reopen();
  }

  /** @param {MeasureState | null} state */
  take(state) {
    if (!state) return;
    if (state.phase === "running" && state.run !== this.state?.run) emit("began", "measure");
    this.state = state;
    if (state.document && state.run && state.run !== this.run) this.#began(state.run);
    this.began = performance.now();
    this.until = state.remaining_s === null ? null : this.began + 1000 * state.remaining_s;
    if (state.document) this.document = state.document;
    this.draw(state);
  }

  /** There is something to come back to: the address leads to it from here on, and a plain reopening offers it.
   * @param {string} run */
  #began(run) {
    this.run = run;
    setAddress({ measurement: run, ...(currentTab() === "measure" ? { tab: "measure" } : {}) });
    remember(run);
  }

  /** @param {MeasureState} state */
  draw(state) {
    const { document } = this;
    const own = document !== null && document === state.document;
    this.root.dataset.phase = state.phase;
    this.root.toggleAttribute("data-stale", Boolean(document) && !own);
    this.start.hidden = Boolean(document) || state.phase === "running";
    if (state.phase === "idle") this.#idle(state);
    else if (state.phase === "running") this.#running(state);
    else if (state.phase === "refused") this.#refused(state, own);
    else this.#over(state);
    this.#about(own ? document : null);
    if (document) this.report.show(document);
  }

  /** @param {MeasureState} state */
  #idle({ notices }) {
    this.strip.say("idle", IDLE);
    if (notices.length) this.strip.warn(notices.join("\n"), null, "notice");
  }

  /** @param {MeasureState} state */
  #running({ text, fraction, document }) {
    const [first] = document ? this.#statements(document) : [];
    // A bar that slides to and fro is drawn all the time: not while the device is being measured.
    this.strip.work(text, document ? fraction ?? 0 : fraction, first ?? (document ? "Measuring" : "Getting ready"));
    this.strip.text.append(this.left);
    this.#countDown();
  }

  /** @type {(state: MeasureState, own: boolean) => void} */
  #refused({ run, error }, own) {
    this.strip.say("refused", { headline: own ? "The measurement broke off" : "This measurement cannot start", text: "" });
    if (run === null || run === given.run) write(this.strip.headline, "Nothing to show");
    this.strip.warn(error ?? "");
  }

  /** @param {MeasureState} state */
  #over(state) {
    const { document, error, phase } = state;
    if (!document) return this.#idle(state);
    if (phase === "over") emit("model", document.model);
    const [first, ...more] = this.#statements(document);
    const whole = document.lanes.filter(({ status }) => status !== "failed").map((lane) => lane.runs.length);
    const runs = whole.length ? Math.min(...whole) : 0;
    const ended = `${HEADLINES[document.status] ?? "Measured"}: ${runs} of ${document.settings.repeats} repeats`
      + `${document.status === "done" ? "" : ", and what was done is kept"}.`;
    const kept = phase === "kept" ? `Kept from ${new Date(document.started_at).toLocaleString()}.` : "";
    this.strip.say("over", { headline: first ?? HEADLINES[document.status] ?? "Measured", text: [...more, ended, kept].filter(Boolean).join(" ") });
    if (error) this.strip.warn(error);
    this.strip.speak(`${first ?? ""} ${ended}`);
  }

  /** What the comparison says, the largest difference first.
   * @param {DrawnMeasurement} document */
  #statements({ comparison }) {
    /** @param {measure.ComparedLane} lane */
    const size = ({ speedup }) => Math.abs(Math.log(speedup ?? 1));
    return [...(comparison?.lanes ?? [])].sort((a, b) => size(b) - size(a)).map(({ statement }) => statement);
  }

  /** What was measured, on what: under each headline.
   * @param {DrawnMeasurement | null} document */
  #about(document) {
    this.subject.hidden = !document;
    if (!document) return;
    const { model, prompt, settings, environment } = document;
    const device = environment?.gpu && model.device?.startsWith("cuda") ? environment.gpu : environment?.cpu;
    this.subject.replaceChildren(...present([
      el("span", {}, el("b", {}, model.id), model.random_weights ? el("span", { class: "kv-random" }, " random weights") : null),
      el("span", {}, [model.dtype, model.device].filter(Boolean).join(" on ")), device ? el("span", {}, device) : null,
      el("span", {}, `${format.count(prompt.tokens)} prompt tokens, ${format.count(settings.max_new_tokens)} new`),
      el("span", {}, el("q", { dir: "auto" }, prompt.text.slice(0, 200))),
    ]));
  }

  /** The server speaks only between two steps, every few seconds; meanwhile time goes on here. */
  #countDown() {
    const { state } = this;
    if (state?.phase !== "running") return;
    const now = performance.now();
    const seconds = this.until === null ? null : Math.max(0, (this.until - now) / 1000);
    write(this.left, seconds === null ? "" : seconds > 0 ? ` · about ${format.duration(seconds)} left` : " · almost there");
    const { fraction } = state;
    if (seconds && this.until !== null && fraction !== null) this.strip.fill(fraction + (1 - fraction) * (now - this.began) / (this.until - this.began));
  }

  /** The event is over. A measurement that did not say so itself was cut off; what was done is kept. */
  settle() {
    if (this.state?.phase !== "running") return;
    this.take({ ...this.state, phase: "refused", remaining_s: null,
      error: "The connection to the server was lost. What was measured is kept: reload this page to see it." });
  }
}

/** @type {Measure | null} */
let measure = null;

/** Called once by Gradio when the element is on the page.
 * @type {DrawElement<MeasureState | null, null>} */
export const drawMeasurement = (element, props, watch, reopen) => {
  const shown = new Measure(element, reopen);
  measure = shown;
  watch("value", () => shown.take(props.value));
  shown.take(props.value);
  const asked = new URLSearchParams(location.search).get("measurement");
  if (asked && currentTab() === "measure") shown.find(asked);
};
on("settled", (tab) => {
  if (tab !== "measure") return;
  measure?.settle();
  ask("measure");  // how long the next one will take is known better now
});
on("submitted", (tab) => {
  if (tab !== "measure") return;
  given.run = null;
  measure?.strip.work("Waiting for the server", null);
  if (measure) measure.start.hidden = true;
});
