// Latency against context: what each step took (the median of the runs), over the floors that the device's limits predict.
import { on } from "../base/bus.js";
import { cssColor, laneColor, onTheme } from "../base/colors.js";
import { el } from "../base/dom.js";
import { fitPlot, loadPlotly, plotConfig, plotLayout, plotName } from "../base/plotly.js";

const FLOORS = [
  { key: "decode_floor_s", name: "floor with a cache (predicted)", color: "--kv-ink-2", dash: "dash" },
  { key: "no_cache_floor_s", name: "floor without (predicted)", color: "--kv-ink-3", dash: "dot" },
];
const milliseconds = (seconds) => seconds.map((s) => s * 1000);

export class LatencyChart {
  constructor() {
    this.keys = el("div", { class: "kv-keys" });
    this.reset = el("button", { type: "button", class: "kv-button kv-reset", hidden: true, onclick: () => this.#resetZoom() }, "Reset zoom");
    this.plot = el("div", { class: "kv-plot" });
    this.frame = el("div", { class: "kv-frame", role: "img",
      "aria-label": "Milliseconds of each step against the context it attended to, with the predicted floors" }, this.plot);
    this.element = el("section", { class: "kv-chart", "aria-label": "Latency against context" },
      el("header", {}, el("h3", {}, "Latency against context"), this.keys, this.reset), this.frame);
    this.revision = 0;
    this.drawn = "";
    fitPlot(this.frame, this.plot, () => this.library);
    onTheme(() => this.draw(true));
    on("tab", () => this.draw(true));
  }

  show(document) {
    this.document = document;
    this.element.hidden = !document.lanes.some(({ latency }) => latency.length);
    if (this.element.hidden) return;
    loadPlotly().then((library) => { this.library = library; this.draw(); })
      .catch(() => { this.frame.textContent = "The chart's script did not load."; });
  }

  /** Draws when there is something new to draw and the tab is open. */
  draw(anyway = false) {
    if (!this.library || !this.document || !this.frame.clientWidth) return;
    const { run_id: run, lanes, roofline } = this.document;
    const now = JSON.stringify([run, lanes.map(({ runs, latency }) => [runs.length, latency.length]), Boolean(roofline)]);
    if (now === this.drawn && !anyway) return;
    this.drawn = now;
    this.#keys(lanes, roofline);
    const first = !this.plot.data;
    this.library.react(this.plot, this.#traces(lanes, roofline), this.#layout(run), plotConfig);
    if (first) this.plot.on("plotly_relayout", () => { this.reset.hidden = !this.#zoomed(); });
  }

  #keys(lanes, roofline) {
    const floors = roofline ? FLOORS : [];
    this.keys.replaceChildren(
      ...lanes.map((lane, index) => el("span", { style: `--lane: var(${laneColor(index)})` }, el("i"), lane.name)),
      ...floors.map(({ name, color }) => el("span", { style: `--lane: var(${color})` }, el("i", { "data-dash": true }), name)));
  }

  #traces(lanes, roofline) {
    const measured = lanes.map((lane, index) => ({
      type: "scatter",
      mode: lane.latency.length > 1 ? "lines" : "markers",
      name: plotName(lane.name),
      x: lane.latency.map(([context]) => context),
      y: milliseconds(lane.latency.map(([, seconds]) => seconds)),
      line: { color: cssColor(laneColor(index)), width: 1.75 },
      hovertemplate: "%{y:.4~g} ms<extra>%{fullData.name}</extra>",
    }));
    const floors = (roofline ? FLOORS : []).map(({ key, name, color, dash }) => ({
      type: "scatter", mode: "lines", name, x: roofline.context, y: milliseconds(roofline[key]),
      line: { color: cssColor(color), width: 1.25, dash }, hovertemplate: "%{y:.4~g} ms<extra>%{fullData.name}</extra>",
    }));
    return [...measured, ...floors];
  }

  #layout(run) {
    return plotLayout(this.element, {
      datarevision: ++this.revision,
      uirevision: run,
      x: { title: { text: "context: positions attended to", font: { size: 11 }, standoff: 6 } },
      y: { ticksuffix: " ms" },
    });
  }

  #zoomed() {
    const { xaxis, yaxis } = this.plot.layout;
    return xaxis.autorange === false || yaxis.autorange === false;
  }

  #resetZoom() {
    this.library.relayout(this.plot, { "xaxis.autorange": true, "yaxis.autorange": true });
    this.reset.hidden = true;
  }
}
