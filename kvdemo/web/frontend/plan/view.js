// The Plan tab: what kvdemo/costs/planner.py worked out, as a sentence, a bar, figures, a chart and a table.
import { on } from "../base/bus.js";
import { cssColor, onTheme } from "../base/colors.js";
import { el, write } from "../base/dom.js";
import { format } from "../base/format.js";
import { fitPlot, loadPlotly, plotConfig, plotLayout, plotName } from "../base/plotly.js";
import { basis, term } from "../base/terms.js";
import { decades, powers } from "./ticks.js";

/** The parts of the memory bar, in their order. */
const PARTS = { weights: "Weights", cache: "Cache", free: "Free", over: "Too much" };

/** Bytes without zeros after the point: 24 GB for what somebody typed as 24. */
const round = (bytes) => format.bytes(bytes).replace(/\.0+(?= )/, "");
const tokens = (n) => `${format.count(n)} ${n === 1 ? "token" : "tokens"}`;
const thousands = (n) => (n % 1024 === 0 ? `${n / 1024}k` : format.count(n));

// --- the memory bar

/** Bytes of each part, over the larger of what there is and what is needed. */
const shares = ({ settings, weights, cache, fit }) => {
  const { memory_bytes: memory } = settings;
  const whole = Math.max(memory, fit.needed_bytes);
  const parts = { weights: weights.bytes, cache: cache.at_context.batch_bytes, free: Math.max(0, memory - fit.needed_bytes), over: Math.max(0, fit.needed_bytes - memory) };
  return { parts, edge: memory / whole, width: (bytes) => `${(100 * bytes) / whole}%` };
};

const memoryBar = (plan, terms) => {
  const { parts, edge, width } = shares(plan);
  const segment = (part) => el("i", { "data-part": part, style: `width:${width(parts[part])}` });
  const { context, batch } = plan.settings;
  const label = { weights: terms.weights, cache: terms.cache };
  const named = Object.keys(PARTS).filter((part) => part !== (parts.over ? "free" : "over"));
  const words = named.map((part) => `${PARTS[part]} ${format.bytes(parts[part])}`);
  return [
    el("div", { class: "kv-memory", role: "img", "aria-label": `${round(plan.settings.memory_bytes)} of memory. ${words.join(", ")}.` },
      segment("weights"), segment("cache"), segment("free"),
      parts.over ? el("u", { style: `left:${100 * edge}%` }) : null),
    el("ul", { class: "kv-memorykeys" }, ...named.map((part) => el(
      "li", { "data-part": part }, el("i", { "aria-hidden": "true" }), label[part] ? term(label[part]) : el("span", {}, PARTS[part]),
      el("b", {}, format.bytes(parts[part])),
      part === "cache" ? el("small", {}, `${batch === 1 ? "" : `${format.count(batch)} × `}${tokens(context)}`) : null))),
  ];
};

// --- figures

const fact = (definition, source, value, note) => el("div", {}, el("dt", {}, term(definition), " ", basis(source)), el("dd", {}, value, note ? el("small", {}, note) : null));

const facts = ({ model, settings, cache, fit, decode }, terms) => {
  const { context_length: made } = model;
  const longest = fit.largest_context;
  const alone = settings.batch === 1;
  const beyond = made && longest > made ? `made for ${format.count(made)}` : null;
  return el("dl", { class: "kv-facts" },
    fact(terms.bytes_per_token, cache.basis, format.bytes(cache.bytes_per_token), `in ${settings.cache_dtype}`),
    fact(terms.largest_context, fit.basis, longest === null ? "any" : format.count(longest), longest === null ? "the cache stops growing" : beyond),
    fact(terms.largest_batch, fit.basis, format.count(fit.largest_batch), `at ${tokens(settings.context)} each`),
    fact(terms.outgrows, cache.basis, cache.outgrows_weights_at === null ? "never" : format.count(cache.outgrows_weights_at), cache.outgrows_weights_at === null ? null : "tokens of one sequence"),
    fact(terms.floor, decode.basis, format.seconds(decode.ms_per_token / 1000), `a step reads ${format.bytes(decode.bytes_read)}`),
    fact(terms.rate, decode.basis, `≤ ${format.rate(decode.batch_tokens_per_s)}`, alone ? "one sequence" : `${format.rate(decode.tokens_per_s)} a sequence`));
};

// --- table

const table = ({ settings, weights, cache }) => {
  const { batch, memory_bytes: memory } = settings;
  const columns = ["One sequence", ...(batch > 1 ? [`${format.count(batch)} sequences`] : []), "With the weights", `Of ${round(memory)}`];
  const row = ({ positions, bytes }) => {
    const all = weights.bytes + batch * bytes;
    const over = all > memory;
    const values = [format.bytes(bytes), ...(batch > 1 ? [format.bytes(batch * bytes)] : []), format.bytes(all),
      over ? `${format.bytes(all - memory)} too much` : `${format.bytes(memory - all)} free`];
    return el("tr", { "data-over": over }, el("th", { scope: "row" }, `${thousands(positions)} tokens`),
      ...values.map((value, i) => el("td", {}, el("span", { class: "kv-cellname" }, columns[i]), value)));
  };
  return el("table", { class: "kv-table kv-lengths" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Context"), ...columns.map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...cache.at.map(row)));
};

// --- chart

class GrowthChart {
  constructor() {
    this.keys = el("div", { class: "kv-keys" });
    this.plot = el("div", { class: "kv-plot" });
    this.frame = el("div", { class: "kv-frame", role: "img" }, this.plot);
    this.element = el("section", { class: "kv-chart", "aria-label": "Cache against context" },
      el("header", {}, el("h3", {}, "Cache against context"), basis("formula"), this.keys), this.frame);
    fitPlot(this.frame, this.plot, () => this.library);
    onTheme(() => this.draw());
    on("tab", () => this.draw());
  }

  show(plan) {
    this.plan = plan;
    loadPlotly().then((library) => { this.library = library; this.draw(); })
      .catch(() => { this.frame.textContent = "The chart's script did not load."; });
  }

  draw() {
    if (!this.library || !this.plan || !this.frame.clientWidth) return;
    const { settings, weights, cache } = this.plan;
    const one = cache.curve.map(({ positions, bytes }) => [positions, bytes]);
    const [first, end] = [one[0][0], one.at(-1)[0]];
    const lines = this.#lines(one);
    this.keys.replaceChildren(...lines.map(({ name, color, dash }) => el("span", { style: `--lane: var(${color})` }, el("i", { "data-dash": Boolean(dash) }), name)));
    const levels = [
      { label: "memory", bytes: settings.memory_bytes, color: "--kv-bad" },
      { label: "weights", bytes: weights.bytes, color: "--kv-ink-3" },
    ].sort((a, b) => b.bytes - a.bytes);
    this.frame.setAttribute("aria-label", `Bytes of cache against tokens of context, both logarithmic, with the weights at ${format.bytes(weights.bytes)} and the memory at ${format.bytes(settings.memory_bytes)}`);
    const heights = [...lines.flatMap(({ points }) => points.map(([, bytes]) => bytes)), ...levels.map(({ bytes }) => bytes)].filter((bytes) => bytes > 0);
    this.library.react(this.plot, [...lines.map((line) => this.#trace(line)), this.#here()], this.#layout([first, end], [Math.min(...heights), Math.max(...heights)], levels), plotConfig);
  }

  #lines(points) {
    const { batch } = this.plan.settings;
    const one = { name: "one sequence", color: "--kv-lane-1", points };
    if (batch === 1) return [one];
    const all = { name: `${format.count(batch)} sequences`, color: "--kv-lane-1", points: points.map(([n, bytes]) => [n, batch * bytes]) };
    return [all, { ...one, dash: "dot" }];
  }

  /** @param {{ name: string, color: string, dash?: string, points: number[][] }} line */
  #trace({ name, color, dash, points }) {
    return {
      type: "scatter", mode: "lines", name, showlegend: false,
      x: points.map(([n]) => n), y: points.map(([, bytes]) => bytes),
      line: { color: cssColor(color), width: dash ? 1.25 : 2, dash },
      customdata: points.map(([, bytes]) => format.bytes(bytes)), hovertemplate: `%{customdata}<extra>${plotName(name)}</extra>`,
    };
  }

  /** The plan's own context and batch, as a point. */
  #here() {
    const { positions, batch_bytes: bytes } = this.plan.cache.at_context;
    return {
      type: "scatter", mode: "markers", x: [positions], y: [bytes], marker: { size: 10, color: cssColor("--kv-lane-1"), line: { width: 2, color: cssColor("--kv-bg") } },
      hoverinfo: "skip",
    };
  }

  #layout([first, end], [low, high], levels) {
    const [lowest, highest] = [low / 1.6, high * 2.6];
    const sizes = decades(lowest, highest);
    const lengths = decades(first, end);
    return plotLayout(this.element, {
      margin: { l: 58, r: 16, t: 8, b: 38 },
      dragmode: false,
      x: { type: "log", range: [Math.log10(first), Math.log10(end)], tickvals: lengths, ticktext: lengths.map(powers), hoverformat: ",d", fixedrange: true,
        title: { text: "context in tokens", font: { size: 11 }, standoff: 6 } },
      y: { type: "log", rangemode: "normal", range: [Math.log10(lowest), Math.log10(highest)], tickvals: sizes, ticktext: sizes.map(round), fixedrange: true },
      shapes: levels.map(({ bytes, color }) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: bytes, y1: bytes, line: { color: cssColor(color), width: 1.25, dash: "dash" } })),
      // The upper line's name stands above it, the lower one's below: they may lie close together.
      annotations: levels.map(({ label, bytes, color }, i) => ({ xref: "paper", x: 0.01, y: Math.log10(bytes), xanchor: "left", yanchor: i ? "top" : "bottom", showarrow: false,
        text: `${label}, ${round(bytes)}`, font: { size: 11, color: cssColor(color) } })),
    });
  }
}

// --- the whole

const block = (title, hint, ...children) => el("section", { class: "kv-block", "aria-label": title }, el("header", {}, el("h3", {}, title), ...hint), ...children);
const list = (items) => el("ul", { class: "kv-notes" }, ...items.map((item) => el("li", {}, item)));

class Plan {
  constructor(element, terms) {
    this.terms = terms;
    this.chart = new GrowthChart();
    this.title = el("h2", {}, "What will it need?");
    this.lead = el("p", {}, "Name a model and a machine: how large the cache gets, what fits beside the weights, and how fast decoding can be at best. No weights are loaded for it.");
    this.work = el("div", { class: "kv-work", "data-known": "false", hidden: true }, el("i", {}));
    this.alert = el("div", { class: "kv-alert", role: "alert", hidden: true });
    this.above = el("div", {});
    this.below = el("div", {});
    this.body = el("div", { class: "kv-planned", hidden: true }, this.above, this.chart.element, this.below);
    this.root = el("div", { class: "kv-sheet kv-plan" },
      el("section", { class: "kv-strip", "aria-live": "polite" }, this.title, this.lead, this.work, this.alert), this.body);
    element.firstElementChild.replaceChildren(this.root);
  }

  take({ plan, error }) {
    this.alert.hidden = !error;
    this.alert.replaceChildren(...(error ? [el("p", {}, error)] : []));
    this.root.toggleAttribute("data-stale", Boolean(error));
    if (plan) this.show(plan);
  }

  show(plan) {
    write(this.title, plan.headline);
    write(this.lead, plan.sentences.slice(0, 2).join(" "));
    this.body.hidden = false;
    this.above.replaceChildren(
      block("Memory", [basis(plan.fit.basis)], ...memoryBar(plan, this.terms)),
      block("Figures", [el("p", {}, "worked out, not measured")], facts(plan, this.terms)));
    this.chart.show(plan);
    this.below.replaceChildren(
      block("At longer contexts", [basis(plan.cache.basis)], table(plan)),
      el("div", { class: "kv-pair" },
        block("In words", [], list(plan.sentences.slice(2))),
        block("What this leaves out", [], list(plan.notes))));
  }

  busy(at) {
    clearTimeout(this.timer);
    this.root.setAttribute("aria-busy", String(at));
    if (!at) this.work.hidden = true;
    else this.timer = setTimeout(() => { this.work.hidden = false; }, 500);
  }
}

/** Worked out when the tab is first opened, and from then on when the form has changed and come to rest. */
export const drawPlan = (element, props, watch, _fire, terms) => {
  const tab = new Plan(element, terms);
  watch("value", () => tab.take(props.value));
  tab.take(props.value);
  on("asking", ({ tab: name, busy }) => name === "plan" && tab.busy(busy));
};
