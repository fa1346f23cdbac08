// A measurement's document as a page of a report: its parts in order, each drawn again only when it has changed.
import { el, present } from "../base/dom.js";
import { basis } from "../base/explain/terms.js";
import { LatencyChart } from "./chart.js";
import { cacheFormula, cacheTable, deviceLimits } from "./device.js";
import { against, splitBars } from "./lanes.js";
import { Sweep } from "./sweep.js";
import { measuredTable, publishedTable } from "./table.js";

/** A part of the report that is drawn again only when what it shows has changed. */
class Part {
  /** What is drawn now. @type {string | undefined} */
  now = undefined;

  /**
   * @param {string} title
   * @param {Child[]} hint beside the title
   */
  constructor(title, hint) {
    this.body = el("div", {});
    this.element = el("section", { class: "kv-block", "aria-label": title, hidden: true },
      el("header", {}, el("h3", {}, title), ...hint), this.body);
  }

  /**
   * @param {unknown} shown what it is drawn from
   * @param {() => Child[] | null} draw nothing hides the part
   */
  show(shown, draw) {
    const now = JSON.stringify(shown);
    if (now === this.now) return;
    this.now = now;
    const nodes = present(draw() ?? []);
    this.element.hidden = !nodes.length;
    this.body.replaceChildren(...nodes);
  }
}

export class Report {
  constructor() {
    this.table = new Part("Timings", [basis("measured")]);
    this.split = new Part("Prefill and decode", [el("p", {}, "mean over the runs")]);
    this.limits = new Part("What this device reached", [basis("measured")]);
    this.chart = new LatencyChart();
    this.against = new Part("Against the floor", [basis("predicted")]);
    this.sweep = new Sweep();
    this.swept = "";
    this.memory = new Part("Memory", []);
    this.notes = new Part("Notes", []);
    this.element = el("div", { class: "kv-report", hidden: true }, this.table.element,
      el("div", { class: "kv-pair" }, this.split.element, this.limits.element), this.chart.element, this.against.element,
      this.sweep.element, this.memory.element, this.notes.element);
  }

  /** @param {DrawnMeasurement} document */
  show(document) {
    const { lanes, comparison, published, limits, memory, sweep, notes } = document;
    this.element.hidden = false;
    this.table.show([lanes.map(({ latency, ...lane }) => lane), comparison, published],
      () => [...measuredTable(document), published?.length ? publishedTable(published) : null]);
    this.split.show(lanes.map(({ statistics }) => statistics), () => splitBars(document));
    this.limits.show(limits, () => (limits ? [deviceLimits(document)] : null));
    this.chart.show(document);
    this.against.show(lanes.map(({ roofline }) => roofline), () => { const found = against(document); return found && [found]; });
    if (JSON.stringify(sweep) !== this.swept) this.sweep.show(document);
    this.swept = JSON.stringify(sweep);
    this.memory.show([memory, lanes.map((lane) => lane.memory)], () => {
      const [measured, formula] = [cacheTable(document), cacheFormula(document)];
      return [...measured, formula.length ? el("div", { class: "kv-apart" }, ...formula) : null];
    });
    this.notes.show(notes, () => (notes?.length ? [el("ul", { class: "kv-notes" }, ...notes.map((note) => el("li", {}, note)))] : null));
  }
}
