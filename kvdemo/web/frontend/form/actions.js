// The buttons that start and stop: their busy state, the shortcut, and a link that starts by itself.
import { emit, on } from "../base/bus.js";
import { find, whenThere } from "../base/dom.js";
import { nextFrame } from "../shell/idle.js";
import { currentTab, tabBusy, whenOpen } from "../shell/tabs.js";

/**
 * The button with this id, or the button inside the element with this id.
 * @param {string} id
 * @returns {HTMLButtonElement | null | undefined}
 */
const control = (id) => {
  const found = document.getElementById(id);
  return found instanceof HTMLButtonElement ? found : found?.querySelector("button");
};

/** The two buttons of a tab: one starts, the other stops. Emits `submitted` and `settled` with the tab's name. */
export class Actions {
  /**
   * @param {object} how
   * @param {string} how.tab
   * @param {string} how.start the id of the button that starts
   * @param {string} how.stop the id of the one that stops
   * @param {string} how.idle what the first says while nothing runs
   * @param {string} how.working what it says while something does
   */
  constructor({ tab, start, stop, idle, working }) {
    this.tab = tab;
    this.start = start;
    this.stop = stop;
    this.idle = idle;
    this.working = working;
    this.running = false;
    /** How often Stop was pressed in this run. */
    this.stops = 0;
    on("began", (began) => { if (began === tab) this.#began(); });
    on("lost", (lost) => { this.#lost(lost); });
    whenOpen(tab, () => whenThere(stop, () => {
      const button = control(stop);
      if (button && !this.running) button.disabled = true;
    }));
  }

  /** @param {boolean} running */
  busy(running) {
    this.running = running;
    this.stops = 0;
    const start = control(this.start);
    const stop = control(this.stop);
    if (start) {
      start.disabled = running;
      start.textContent = running ? this.working : this.idle;
      start.setAttribute("aria-busy", String(running));
    }
    if (stop) {
      stop.disabled = !running;
      stop.textContent = "Stop";
    }
    tabBusy(this.tab, running);
    emit(running ? "submitted" : "settled", this.tab);
  }

  stopping() {
    const stop = control(this.stop);
    if (!stop || !this.running) return;
    this.stops += 1;
    stop.disabled = true;
    stop.textContent = "Stopping…";
  }

  /** The server has begun with the run. A Stop that came before it found nothing to stop there: it is pressed again. */
  #began() { if (this.stops === 1) this.pressStop(); }

  /** A run that is asked for while no server answers would be lost with what the page shows.
   * @param {boolean} lost */
  #lost(lost) {
    const start = control(this.start);
    if (start && !this.running) start.disabled = lost;
  }

  /** A long example ends with what it asks: two that share a document would look alike. */
  showQuestion() {
    const box = find(document, "#kv-prompt textarea");
    if (box) nextFrame(() => nextFrame(() => { box.scrollTop = box.scrollHeight; }));
  }

  press() {
    if (!this.running) control(this.start)?.click();
  }

  pressStop() {
    const stop = control(this.stop);
    if (!this.running || !stop) return;
    stop.disabled = false;
    stop.click();
  }
}

export const raceActions = new Actions({ tab: "race", start: "kv-race", stop: "kv-stop", idle: "Race", working: "Racing…" });
export const measureActions = new Actions({ tab: "measure", start: "kv-m-start", stop: "kv-m-stop", idle: "Start", working: "Measuring…" });
export const insideActions = new Actions({ tab: "inside", start: "kv-i-start", stop: "kv-i-stop", idle: "Show", working: "Computing…" });

document.addEventListener("keydown", (event) => {
  const actions = [raceActions, measureActions, insideActions].find(({ tab }) => tab === currentTab());
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !actions || actions.running) return;
  event.preventDefault();
  // The prompt reports its text on input; a frame later the form holds it.
  nextFrame(() => actions.press());
}, true);

/** A link with run=1 starts once, when the model has arrived or failed to. */
let started = false;
on("status", ({ state, run }) => {
  if (!run || started || state === "loading") return;
  started = true;
  setTimeout(() => raceActions.press(), 400);
});
/** A page that was loaded again, and shows the race that it had, starts no other. */
on("returned", () => { started = true; });

/** On a phone the settings start closed, below the two buttons. */
whenThere("kv-settings", (settings) => {
  if (matchMedia("(max-width: 760px)").matches) find(settings, "button.label-wrap")?.click();
});
