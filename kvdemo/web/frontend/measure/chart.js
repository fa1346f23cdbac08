// Latency against context: what each step took (the median of the runs), over the floors that the device's limits predict.
import { laneColor } from "../base/colors.js";
import { LineChart } from "../base/chart/line_chart.js";

/** @type {(Pick<import("../base/chart/line_chart.js").Line, "name" | "color" | "dash"> & { key: "decode_floor_s" | "no_cache_floor_s" })[]} */
const FLOORS = [
  { key: "decode_floor_s", name: "floor with a cache (predicted)", color: "--kv-ink-2", dash: "dash" },
  { key: "no_cache_floor_s", name: "floor without (predicted)", color: "--kv-ink-3", dash: "dot" },
];
const HOVER = "%{y:.4~g} ms";
/** @param {number[]} seconds */
const milliseconds = (seconds) => seconds.map((s) => s * 1000);

export class LatencyChart {
  constructor() {
    /** @type {DrawnMeasurement | null} */
    this.document = null;
    this.drawn = "";
    this.chart = new LineChart({ name: "Latency against context", read: () => this.#drawing() });
    this.chart.describe("Latency against context", "Milliseconds of each step against the context it attended to, with the predicted floors");
    this.element = this.chart.element;
  }

  /** Draws a measurement's document where it has something new to draw.
   * @param {DrawnMeasurement} document */
  show(document) {
    this.document = document;
    const { run_id: run, lanes, roofline } = document;
    this.element.hidden = !lanes.some(({ latency }) => latency.length);
    const now = JSON.stringify([run, lanes.map(({ runs, latency }) => [runs.length, latency.length]), Boolean(roofline)]);
    if (now !== this.drawn) this.chart.draw();
    this.drawn = now;
  }

  #drawing() {
    if (!this.document) return null;
    const { run_id: run, lanes, roofline } = this.document;
    const measured = lanes.map(({ name, latency }, index) => ({
      name, color: laneColor(index), hover: HOVER,
      x: latency.map(([context]) => context), y: milliseconds(latency.map(([, seconds]) => seconds)),
    }));
    const floors = roofline ? FLOORS.map(({ key, ...line }) => ({
      ...line, width: 1.25, hover: HOVER, x: roofline.context, y: milliseconds(roofline[key]),
    })) : [];
    return {
      lines: [...measured, ...floors],
      zoom: run,
      layout: { x: { title: { text: "context: positions attended to", font: { size: 11 }, standoff: 6 } }, y: { ticksuffix: " ms" } },
    };
  }
}
