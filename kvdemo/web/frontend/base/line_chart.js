// A chart of lines by plotly.js: its head with keys and a button that resets the zoom, its colours, its size. It is drawn
// when its owner says so, when plotly.js has come, when its tab is opened, and when light turns dark.
import { on } from "./bus.js";
import { cssColor, onTheme } from "./colors.js";
import { el, write } from "./dom.js";
import { loadPlotly, plotConfig, plotLayout, plotName } from "./plotly.js";

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {string} color a custom property of tokens.css
 * @property {number[]} x
 * @property {(number | null)[]} y null where there is no point
 * @property {string} hover how a point is written, in plotly.js' template language
 * @property {string} [dash] "dash" or "dot"
 * @property {number} [width] in pixels
 * @property {string[]} [written] a text for each point, `%{customdata}` in `hover`
 */

/**
 * @typedef {object} Drawing
 * @property {Line[]} lines
 * @property {object[]} [marks] further traces, which have no key
 * @property {string} zoom the zoom stays for as long as this does
 * @property {PlotLayout} layout
 */

const MISSING = "The chart's script did not load.";

/** @param {Line} line */
const trace = ({ name, color, x, y, hover, dash, width = 1.75, written }) => ({
  type: "scatter",
  mode: x.length > 1 ? "lines" : "markers",
  name: plotName(name),
  x,
  y,
  line: { color: cssColor(color), width, dash },
  customdata: written,
  hovertemplate: `${hover}<extra>%{fullData.name}</extra>`,
});

export class LineChart {
  /**
   * @param {object} how
   * @param {string} how.name what the chart is called to a screen reader
   * @param {string} [how.title] its heading, unless it is set later
   * @param {() => Drawing | null} how.read what to draw now; null while there is nothing
   * @param {Node[]} [how.beside] what stands beside the heading
   * @param {Node[]} [how.controls] what stands at the end of the head
   * @param {string} [how.empty] what stands in place of the lines until there are any
   */
  constructor({ name, title = name, read, beside = [], controls = [], empty = "" }) {
    this.read = read;
    this.revision = 0;
    /** @type {Plotly | null} */
    this.library = null;
    /** @type {Promise<void> | null} */
    this.loading = null;
    this.named = "";
    this.heading = el("h3", {}, title);
    this.keys = el("div", { class: "kv-keys" });
    this.reset = el("button", { type: "button", class: "kv-button kv-reset", hidden: true, onclick: () => this.#resetZoom() }, "Reset zoom");
    this.empty = el("p", { class: "kv-empty", hidden: !empty }, empty);
    /** @type {PlotElement} */
    this.plot = el("div", { class: "kv-plot" });
    this.frame = el("div", { class: "kv-frame", role: "img" }, this.plot, this.empty);
    this.element = el("section", { class: "kv-chart", "aria-label": name },
      el("header", {}, this.heading, ...beside, this.keys, this.reset, ...controls), this.frame);
    onTheme(() => this.draw());
    on("tab", () => this.draw());
    this.#fit();
  }

  /**
   * Says what the lines are, above them and to a screen reader.
   * @param {string} title
   * @param {string} label
   */
  describe(title, label) {
    write(this.heading, title);
    this.frame.setAttribute("aria-label", label);
  }

  /**
   * The names behind the colours.
   * @param {{ name: string, color: string, dash?: string }[]} lines
   */
  name(lines) {
    const now = JSON.stringify(lines.map(({ name, color, dash }) => [name, color, dash]));
    if (now === this.named) return;
    this.named = now;
    this.keys.replaceChildren(...lines.map(({ name, color, dash }) => el(
      "span", { style: `--lane: var(${color})` }, el("i", { "data-dash": Boolean(dash) }), name)));
  }

  /** Fetches plotly.js, and draws when it is there. */
  load() {
    this.loading ??= loadPlotly().then((library) => {
      this.library = library;
      this.draw();
    }).catch(() => {
      this.empty.hidden = false;
      this.empty.textContent = MISSING;
    });
  }

  /** Whether it drew: there must be lines, and room for them, which a closed tab has not. */
  draw() {
    const drawing = this.frame.clientWidth ? this.read() : null;
    if (!drawing) return false;
    if (!this.library) {
      this.load();
      return false;
    }
    const first = !this.plot.data;
    const { lines, marks = [], zoom, layout } = drawing;
    this.empty.hidden = true;
    this.name(lines);
    this.library.react(this.plot, [...lines.map(trace), ...marks],
      plotLayout(this.element, { datarevision: ++this.revision, uirevision: zoom, ...layout }), plotConfig);
    if (first) this.plot.on?.("plotly_relayout", () => { this.reset.hidden = !this.#zoomed(); });
    return true;
  }

  #zoomed() {
    const { layout } = this.plot;
    return layout && [layout.xaxis, layout.yaxis].some(({ fixedrange, autorange }) => !fixedrange && autorange === false);
  }

  #resetZoom() {
    this.library?.relayout(this.plot, { "xaxis.autorange": true, "yaxis.autorange": true });
    this.reset.hidden = true;
  }

  /** Keeps the lines as large as their frame; a chart that is not on show keeps what it has until it is. */
  #fit() {
    new ResizeObserver(() => {
      if (this.library && this.plot.data && this.frame.clientWidth && this.frame.clientHeight) this.library.Plots.resize(this.plot);
    }).observe(this.frame);
  }
}
