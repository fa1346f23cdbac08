// A measurement's document as a page of a report: its parts in order, each drawn again only when it has changed.
(() => {
  const kv = window.kvdemo;
  const { el } = kv;

  /** A part of the report that is drawn again only when what it shows has changed. */
  class Part {
    constructor(title, hint, ...classes) {
      this.body = el("div", {});
      this.element = el("section", { class: ["kv-block", ...classes].join(" "), "aria-label": title, hidden: true },
        el("header", {}, el("h3", {}, title), ...hint), this.body);
    }

    show(shown, draw) {
      const now = JSON.stringify(shown);
      if (now === this.now) return;
      this.now = now;
      const nodes = draw();
      this.element.hidden = !nodes?.length;
      this.body.replaceChildren(...(nodes ?? []).filter(Boolean));
    }
  }

  kv.Report = class {
    constructor() {
      this.table = new Part("Timings", [kv.basis("measured")]);
      this.split = new Part("Prefill and decode", [el("p", {}, "mean over the runs")]);
      this.limits = new Part("What this device reached", [kv.basis("measured")]);
      this.chart = new kv.LatencyChart();
      this.against = new Part("Against the floor", [kv.basis("predicted")]);
      this.sweep = new kv.Sweep();
      this.memory = new Part("Memory", []);
      this.notes = new Part("Notes", []);
      this.element = el("div", { class: "kv-report", hidden: true }, this.table.element,
        el("div", { class: "kv-pair" }, this.split.element, this.limits.element), this.chart.element, this.against.element,
        this.sweep.element, this.memory.element, this.notes.element);
    }

    show(document) {
      const { lanes, comparison, published, limits, memory, sweep, notes } = document;
      this.element.hidden = false;
      this.table.show([lanes.map(({ latency, ...lane }) => lane), comparison, published],
        () => [...kv.measuredTable(document), published?.length ? kv.publishedTable(published) : null]);
      this.split.show(lanes.map(({ statistics }) => statistics), () => kv.splitBars(document));
      this.limits.show(limits, () => (limits ? [kv.deviceLimits(document)] : null));
      this.chart.show(document);
      this.against.show(lanes.map(({ roofline }) => roofline), () => { const found = kv.against(document); return found && [found]; });
      if (JSON.stringify(sweep) !== this.swept) this.sweep.show(document);
      this.swept = JSON.stringify(sweep);
      this.memory.show([memory, lanes.map((lane) => lane.memory)], () => {
        const [measured, formula] = [kv.cacheTable(document), kv.cacheFormula(document)];
        return [...measured, formula.length ? el("div", { class: "kv-apart" }, ...formula) : null].filter(Boolean);
      });
      this.notes.show(notes, () => (notes?.length ? [el("ul", { class: "kv-notes" }, ...notes.map((note) => el("li", {}, note)))] : null));
    }
  };
})();
