// What each token cost: one chart for all lanes, drawn while they run, and no more often than is cheap.
import { cssColor, laneColor } from "../base/colors.js";
import { el } from "../base/dom.js";
import { LineChart } from "../base/chart/line_chart.js";
import { prose } from "../base/explain/prose.js";
import { explain } from "../base/explain/tooltip.js";
import { mark, unmark } from "./marked_step.js";
import { Pacer } from "./pacer.js";

/** @typedef {import("./wire.js").Race} Race */
/**
 * A quantity over the positions: `id` is the list of a lane that holds it, `term` its definition;
 * a unit that is no unit is the axis's title, and `says` is how to read what needs reading.
 * @typedef {{ id: "latency" | "elapsed" | "bytes" | "logprobs" | "entropies", label: string, title: string, unit: string, term: string, hover: string, titled?: boolean, says?: string }} View
 */

/** @type {View[]} */
const VIEWS = [
  { id: "latency", label: "Latency", title: "What each token cost", unit: "ms", term: "latency", hover: "%{y:.4~g} ms" },
  { id: "elapsed", label: "Elapsed time", title: "Device time so far", unit: "s", term: "cumulative", hover: "%{y:.4~g} s" },
  { id: "bytes", label: "Cache size", title: "Bytes held in the cache", unit: "MB", term: "cache", hover: "%{y:.4~g} MB" },
  { id: "logprobs", label: "Log-probability", title: "How likely each token was", unit: "ln p", term: "logprob", hover: "ln p = %{y:.2f}", titled: true,
    says: "The log-probability that the model gave each token before any rule: near 0 it was sure, and each dip is a token that it did not expect." },
  { id: "entropies", label: "Entropy", title: "How open each choice was", unit: "bits", term: "entropy", hover: "%{y:.2f} bits",
    says: "The entropy of what the model offered for each token, before any rule: 0 where one was certain, n bits as if 2ⁿ were equally likely." },
];
/** At most ten redraws a second, and 3 % of the time in its scripts as long as that is twice a second. */
const PACE = { interval: 100, longest: 500, share: 0.03 };

export class RaceChart {
  /** @param {Definitions} definitions */
  constructor(definitions) {
    this.view = VIEWS[0];
    /** @type {Race | null} */
    this.race = null;
    this.pacer = new Pacer(() => this.chart.draw(), PACE);
    /** What somebody drew, to stand beside the latencies. @type {{ name: string, color: string, x: number[], y: number[] }[]} */
    this.guessed = [];
    this.tabs = VIEWS.map((view) => explain(
      el("button", { type: "button", "aria-pressed": String(view === this.view), onclick: () => this.choose(view) }, view.label),
      { title: definitions[view.term].long, text: definitions[view.term].text }));
    this.chart = new LineChart({
      name: "Chart",
      read: () => this.#drawing(),
      onPoint: (point) => (point ? mark(point.line, point.place) : unmark()),
      controls: [el("div", { class: "kv-segments", role: "group", "aria-label": "Quantity" }, ...this.tabs)],
      empty: "One line a lane, one point a token, drawn while they come.",
    });
    this.said = el("p", { class: "kv-chartsaid" });
    this.chart.head.after(this.said);
    this.element = this.chart.element;
    this.#describe();
    this.chart.load();
  }

  /** @param {View} view */
  choose(view) {
    this.view = view;
    for (const [i, tab] of this.tabs.entries()) tab.setAttribute("aria-pressed", String(VIEWS[i] === view));
    this.#describe();
    this.pacer.ask(true);
  }

  #describe() {
    const { title, unit, says = "" } = this.view;
    this.said.replaceChildren(...prose(says));
    this.said.hidden = !says;
    this.chart.describe(title, `${title}, ${unit}, against the position in the sequence`);
  }

  /** The names behind the colours, for a race or for lanes that have yet to run.
   * @param {{ name: string }[]} lanes */
  name(lanes) {
    this.chart.name(lanes.map(({ name }, index) => ({ name, color: laneColor(index) })));
  }

  /** Points at the token that is marked, and in other lanes, faintly, at that of the same place.
   * @param {Marked | null} marked */
  point(marked) {
    this.chart.point(marked && (this.race?.lanes ?? []).map((lane) => ({
      line: lane.index, place: marked.token, faint: lane.index !== marked.lane,
    })));
  }

  /** Shows lines beside the measured latencies; none takes them away.
   * @param {RaceChart["guessed"]} lines */
  guess(lines) {
    if (!lines.length && !this.guessed.length) return;
    this.guessed = lines;
    this.pacer.ask(true);
  }

  /** @param {Race} race */
  show(race) {
    const fresh = this.race !== race;
    this.race = race;
    if (fresh) this.name(race.lanes);
    this.pacer.ask(fresh || !race.running);
  }

  #drawing() {
    const { race } = this;
    if (!race?.lanes.length) return null;
    return {
      lines: [
        ...race.lanes.map((lane) => ({ name: lane.name, color: laneColor(lane.index), x: lane.x, y: lane[this.view.id], hover: this.view.hover })),
        ...(this.view === VIEWS[0] ? this.guessed.map((line) => ({ ...line, dash: "dash", hover: "guess" })) : []),
      ],
      zoom: `${race.run} ${this.view.id}`,
      layout: {
        x: { title: { text: "position in the sequence", font: { size: 11 }, standoff: 6 } },
        y: this.view.titled ? { title: { text: this.view.unit, font: { size: 11 }, standoff: 8 } } : { ticksuffix: ` ${this.view.unit}` },
        ...this.#partings(race, cssColor("--kv-ink-3")),
      },
    };
  }

  /** A dotted line where a lane's tokens depart from the baseline's; of several, the first is labelled.
   * @type {(race: Race, color: string) => object} */
  #partings(race, color) {
    const found = race.lanes.flatMap(({ divergence }) => (divergence ? [race.start.prompt_tokens + divergence.index + 1] : []));
    const at = [...new Set(found)].sort((a, b) => a - b);
    return {
      shapes: at.map((x) => ({ type: "line", x0: x, x1: x, y0: 0, y1: 1, yref: "paper", line: { color, width: 1, dash: "dot" } })),
      annotations: at.slice(0, 1).map((x) => ({ x, y: 0, yref: "paper", xanchor: "left", yanchor: "bottom", text: "texts part", showarrow: false,
        bgcolor: cssColor("--kv-bg"), font: { size: 11, color } })),
    };
  }
}
