// A chart of lines by plotly.js: its head with keys and a button that resets the zoom, its colours, its size. It is drawn
// when its owner says so, when plotly.js has come, when its tab is opened, and when light turns dark.
import { on } from "../bus.js";
import { cssColor, onTheme } from "../colors.js";
import { el, write } from "../dom.js";
import { loadPlotly, MARGIN, plotConfig, plotLayout, plotName } from "./plotly.js";

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {string} color a custom property of styles/tokens.css
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

/** A point that is pointed at: the place of its line, its own place in that, and whether another one is meant.
 * @typedef {{ line: number, place: number, faint?: boolean }} Point */

const FEW = 8;
const MISSING = "The chart's script did not load.";

/** Over a few positions a tick each: between them the same whole number would stand twice.
 * @param {Line[]} lines */
const wholeTicks = (lines) => {
  const places = lines.flatMap(({ x }) => [x[0], x[x.length - 1]].filter((at) => at !== undefined));
  return Math.max(...places) - Math.min(...places) < FEW ? { dtick: 1 } : {};
};

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
   * @param {(point: Point | null) => void} [how.onPoint] told of the point that the pointer is nearest to, and when it leaves
   * @param {string} [how.empty] what stands in place of the lines until there are any
   */
  constructor({ name, title = name, read, beside = [], controls = [], onPoint, empty = "" }) {
    this.read = read;
    this.onPoint = onPoint;
    /** @type {Line[]} */
    this.lines = [];
    /** @type {Point[]} */
    this.points = [];
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
    this.pointers = el("div", { class: "kv-pointers", "aria-hidden": "true" });
    this.frame = el("div", { class: "kv-frame", role: "img" }, this.plot, this.pointers, this.empty);
    this.head = el("header", {}, this.heading, ...beside, this.keys, this.reset, ...controls);
    this.element = el("section", { class: "kv-chart", "aria-label": name }, this.head, this.frame);
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
      plotLayout(this.element, { datarevision: ++this.revision, uirevision: zoom, ...layout, x: { ...wholeTicks(lines), ...layout.x } }), plotConfig);
    this.lines = lines;
    if (first) this.#listen();
    this.#place();
    return true;
  }

  #listen() {
    this.plot.on?.("plotly_relayout", () => {
      this.reset.hidden = !this.#zoomed();
      this.#place();
    });
    if (!this.onPoint) return;
    this.plot.on?.("plotly_hover", ({ points, yvals: [y] }) => {
      const nearest = points.filter(({ curveNumber }) => curveNumber < this.lines.length)
        .sort((a, b) => Math.abs(a.y - y) - Math.abs(b.y - y))[0];
      if (nearest) this.onPoint?.({ line: nearest.curveNumber, place: nearest.pointNumber });
    });
    this.plot.on?.("plotly_unhover", () => this.onPoint?.(null));
  }

  /**
   * Points at points until the next call.
   * @param {Point[] | null} points
   */
  point(points) {
    this.points = points ?? [];
    this.#place();
  }

  /** Puts a line and dots over the plot, which need not be drawn again for them. Its margins are fixed (plotLayout). */
  #place() {
    const { layout } = this.plot;
    if (!this.points.length || !layout) {
      this.pointers.replaceChildren();
      return;
    }
    const { clientWidth: width, clientHeight: height } = this.frame;
    const inner = { width: width - MARGIN.l - MARGIN.r, height: height - MARGIN.t - MARGIN.b };
    const share = (/** @type {PlotAxis} */ { range: [from, to] = [0, 1] }, /** @type {number} */ value) => (value - from) / (to - from);
    const seen = this.points.flatMap(({ line, place, faint }) => {
      const { color, x: { [place]: x }, y: { [place]: y } } = this.lines[line] ?? { color: "", x: [], y: [] };
      if (x === undefined || y === undefined || y === null) return [];
      const [across, up] = [share(layout.xaxis, x), share(layout.yaxis, y)];
      if (Math.min(across, up) < 0 || Math.max(across, up) > 1.001) return [];
      return [{ color, faint: Boolean(faint), left: MARGIN.l + across * inner.width, top: MARGIN.t + (1 - up) * inner.height }];
    });
    const own = seen.find(({ faint }) => !faint);
    this.pointers.replaceChildren(
      ...(own ? [el("hr", { style: `--lane: var(${own.color}); left: ${own.left}px; top: ${MARGIN.t}px; height: ${inner.height}px` })] : []),
      ...seen.map(({ color, faint, left, top }) => el("i", { "data-faint": String(faint), style: `--lane: var(${color}); left: ${left}px; top: ${top}px` })));
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
      if (this.library && this.plot.data && this.frame.clientWidth && this.frame.clientHeight) {
        this.library.Plots.resize(this.plot);
        this.#place();
      }
    }).observe(this.frame);
  }
}
