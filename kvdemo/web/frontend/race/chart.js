// One chart for all lanes. Plotly keeps zoom and hover over updates (uirevision); this file keeps it cheap.
import { on } from "../base/bus.js";
import { cssColor, laneColor, onTheme } from "../base/colors.js";
import { el, write } from "../base/dom.js";
import { fitPlot, loadPlotly, plotConfig, plotLayout, plotName } from "../base/plotly.js";
import { explain } from "../base/tooltip.js";

const VIEWS = [
  { id: "latency", label: "Latency", title: "What each token cost", unit: "ms", term: "latency", hover: "%{y:.4~g} ms" },
  { id: "elapsed", label: "Elapsed time", title: "Device time so far", unit: "s", term: "cumulative", hover: "%{y:.4~g} s" },
  { id: "bytes", label: "Cache size", title: "Keys and values held", unit: "MB", term: "cache", hover: "%{y:.4~g} MB" },
];
/** At most ten redraws a second, and 6 % of the time in its scripts as long as that is twice a second. */
const INTERVAL = 100;
const LONGEST = 500;
const SHARE = 0.06;

export class RaceChart {
  constructor(definitions) {
    this.view = VIEWS[0];
    this.race = null;
    this.last = 0;
    this.cost = 0;
    this.revision = 0;
    this.#build(definitions);
    onTheme(() => this.draw(true));
    on("tab", () => this.draw(true));
    loadPlotly().then((library) => { this.library = library; this.draw(true); })
      .catch(() => { this.empty.textContent = "The chart's script did not load."; });
  }

  #build(definitions) {
    this.definitions = definitions;
    this.title = el("h3", {});
    this.keys = el("div", { class: "kv-keys" });
    this.reset = el("button", { type: "button", class: "kv-button kv-reset", hidden: true, onclick: () => this.#resetZoom() }, "Reset zoom");
    this.tabs = VIEWS.map((view) => explain(
      el("button", { type: "button", "aria-pressed": String(view === this.view), onclick: () => this.choose(view) }, view.label),
      { title: definitions[view.term].long, text: definitions[view.term].text }));
    this.empty = el("p", { class: "kv-empty" }, "One line a lane, one point a token, drawn while they come.");
    this.plot = el("div", { class: "kv-plot" });
    this.frame = el("div", { class: "kv-frame", role: "img" }, this.plot, this.empty);
    this.element = el("section", { class: "kv-chart", "aria-label": "Chart" },
      el("header", {}, this.title, this.keys, this.reset,
        el("div", { class: "kv-segments", role: "group", "aria-label": "Quantity" }, ...this.tabs)),
      this.frame);
    this.#titles();
    fitPlot(this.frame, this.plot, () => this.library);
  }

  choose(view) {
    this.view = view;
    for (const [i, tab] of this.tabs.entries()) tab.setAttribute("aria-pressed", String(VIEWS[i] === view));
    this.#titles();
    this.draw(true);
  }

  #titles() {
    write(this.title, this.view.title);
    this.frame.setAttribute("aria-label", `${this.view.title}, ${this.view.unit}, against the position in the sequence`);
  }

  /** The names behind the colours, for a race or for lanes that have yet to run. */
  name(lanes) {
    this.keys.replaceChildren(...lanes.map((lane, index) => el(
      "span", { style: `--lane: var(${laneColor(index)})` }, el("i"), lane.name)));
  }

  show(race) {
    const fresh = this.race !== race;
    this.race = race;
    if (fresh) this.name(race.lanes);
    this.draw(fresh || !race.running);
  }

  /** Draws now if it must, else when the last drawing has been paid off. */
  draw(now = false) {
    if (!this.library || !this.race?.lanes.length || !this.frame.clientWidth) return;
    clearTimeout(this.timer);
    const wait = this.last + Math.max(INTERVAL, Math.min(LONGEST, this.cost / SHARE)) - performance.now();
    if (!now && wait > 0) {
      this.timer = setTimeout(() => this.draw(), wait);
      return;
    }
    const begin = performance.now();
    const first = !this.plot.data;
    this.#react();
    this.last = performance.now();
    if (!first) this.cost = 0.7 * this.cost + 0.3 * (this.last - begin);
  }

  #react() {
    this.empty.hidden = true;
    const first = !this.plot.data;
    this.library.react(this.plot, this.#traces(), this.#layout(), plotConfig);
    if (first) this.plot.on("plotly_relayout", () => { this.reset.hidden = !this.#zoomed(); });
  }

  #zoomed() {
    const { xaxis, yaxis } = this.plot.layout;
    return xaxis.autorange === false || yaxis.autorange === false;
  }

  #resetZoom() {
    this.library.relayout(this.plot, { "xaxis.autorange": true, "yaxis.autorange": true });
    this.reset.hidden = true;
  }

  #traces() {
    return this.race.lanes.map((lane) => ({
      type: "scatter",
      mode: lane.x.length > 1 ? "lines" : "markers",
      name: plotName(lane.name),
      x: lane.x,
      y: lane[this.view.id],
      line: { color: cssColor(laneColor(lane.index)), width: 1.75, simplify: true },
      hovertemplate: `${this.view.hover}<extra>%{fullData.name}</extra>`,
    }));
  }

  #layout() {
    return plotLayout(this.element, {
      datarevision: ++this.revision,
      uirevision: `${this.race.run} ${this.view.id}`,
      x: { title: { text: "position in the sequence", font: { size: 11 }, standoff: 6 } },
      y: { ticksuffix: ` ${this.view.unit}` },
      ...this.#partings(cssColor("--kv-ink-3")),
    });
  }

  /** A dotted line where a lane's tokens depart from the baseline's; of several, the first is labelled. */
  #partings(color) {
    const found = this.race.lanes.filter((lane) => lane.divergence)
      .map((lane) => this.race.start.prompt_tokens + lane.divergence.index + 1);
    const at = [...new Set(found)].sort((a, b) => a - b);
    return {
      shapes: at.map((x) => ({ type: "line", x0: x, x1: x, y0: 0, y1: 1, yref: "paper", line: { color, width: 1, dash: "dot" } })),
      annotations: at.slice(0, 1).map((x) => ({ x, y: 0, yref: "paper", xanchor: "left", yanchor: "bottom", text: "texts part", showarrow: false,
        font: { size: 11, color } })),
    };
  }
}
