// Cache against context: both logarithmic, with the memory and the weights as levels and the plan's own point.
import { cssColor } from "../base/colors.js";
import { format } from "../base/format.js";
import { LineChart } from "../base/chart/line_chart.js";
import { basis } from "../base/explain/terms.js";
import { decades, powers, roundBytes } from "./ticks.js";

const COLOR = "--kv-lane-1";

/** One line, or two where there are several sequences: theirs together, and one of them, dotted.
 * @type {(curve: plan.Size[], batch: number) => import("../base/chart/line_chart.js").Line[]} */
const linesOf = (curve, batch) => {
  /** @param {string} name
   * @param {number} times */
  const line = (name, times) => {
    const y = curve.map(({ bytes }) => times * bytes);
    return { name, color: COLOR, width: 2, x: curve.map(({ positions }) => positions), y, written: y.map(format.bytes), hover: "%{customdata}" };
  };
  const one = line("one sequence", 1);
  return batch === 1 ? [one] : [line(`${format.count(batch)} sequences`, batch), { ...one, dash: "dot", width: 1.25 }];
};

/** The plan's own context and batch, as a point.
 * @param {plan.SizeAtContext} size */
const pointOf = ({ positions, batch_bytes: bytes }) => ({
  type: "scatter", mode: "markers", x: [positions], y: [bytes], hoverinfo: "skip",
  marker: { size: 10, color: cssColor(COLOR), line: { width: 2, color: cssColor("--kv-bg") } },
});

/** @type {(ends: number[], heights: number[], levels: { label: string, bytes: number, color: string }[]) => PlotLayout} */
const layoutOf = ([first, end], [low, high], levels) => {
  const [lowest, highest] = [low / 1.6, high * 2.6];
  const sizes = decades(lowest, highest);
  const lengths = decades(first, end);
  return {
    margin: { l: 58, r: 16, t: 8, b: 38 },
    dragmode: false,
    x: { type: "log", range: [Math.log10(first), Math.log10(end)], tickvals: lengths, ticktext: lengths.map(powers), hoverformat: ",d", fixedrange: true,
      title: { text: "context in tokens", font: { size: 11 }, standoff: 6 } },
    y: { type: "log", rangemode: "normal", range: [Math.log10(lowest), Math.log10(highest)], tickvals: sizes, ticktext: sizes.map(roundBytes), fixedrange: true },
    shapes: levels.map(({ bytes, color }) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: bytes, y1: bytes, line: { color: cssColor(color), width: 1.25, dash: "dash" } })),
    // The upper line's name stands above it, the lower one's below: they may lie close together.
    annotations: levels.map(({ label, bytes, color }, i) => ({ xref: "paper", x: 0.01, y: Math.log10(bytes), xanchor: "left", yanchor: i ? "top" : "bottom", showarrow: false,
      text: `${label}, ${roundBytes(bytes)}`, font: { size: 11, color: cssColor(color) } })),
  };
};

export class GrowthChart {
  constructor() {
    /** @type {plan.PlanDocument | null} */
    this.plan = null;
    this.chart = new LineChart({ name: "Cache against context", beside: [basis("formula")], read: () => this.#drawing() });
    this.element = this.chart.element;
  }

  /** @param {plan.PlanDocument} plan */
  show(plan) {
    this.plan = plan;
    const { settings, weights } = plan;
    this.chart.describe("Cache against context", `Bytes of cache against tokens of context, both logarithmic, with the weights at ${format.bytes(weights.bytes)} and the memory at ${format.bytes(settings.memory_bytes)}`);
    this.chart.draw();
  }

  #drawing() {
    if (!this.plan) return null;
    const { settings, weights, cache } = this.plan;
    const ends = [cache.curve[0], cache.curve[cache.curve.length - 1]].map(({ positions }) => positions);
    const lines = linesOf(cache.curve, settings.batch);
    const levels = [
      { label: "memory", bytes: settings.memory_bytes, color: "--kv-bad" },
      { label: "weights", bytes: weights.bytes, color: "--kv-ink-3" },
    ].sort((a, b) => b.bytes - a.bytes);
    const heights = [...lines.flatMap(({ y }) => y), ...levels.map(({ bytes }) => bytes)].flatMap((bytes) => (bytes ? [bytes] : []));
    return { lines, marks: [pointOf(cache.at_context)], zoom: "none", layout: layoutOf(ends, [Math.min(...heights), Math.max(...heights)], levels) };
  }
}
