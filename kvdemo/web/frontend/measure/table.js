// The classic table: a row a lane, with its scatter; and, set apart from it, what others have published.
import { laneColor } from "../base/colors.js";
import { el } from "../base/dom.js";
import { format } from "../base/format.js";
import { basis, definitions, term } from "../base/explain/terms.js";

/** @typedef {import("../base/format.js").Written} Written */
/** @typedef {(statistics: measure.Statistics) => Child[]} Read what a cell says of a lane's statistics */

/** A figure from a summary: mean and sample standard deviation.
 * @type {(summary: measure.Summary | null, write?: Written) => Child[]} */
const spread = (summary, write = format.seconds) => (summary
  ? [write(summary.mean), summary.std === null ? null : el("small", {}, ` ± ${write(summary.std)}`)] : [format.none]);
/** One figure of the summary of E2E.
 * @type {(name: keyof measure.Summary, write?: Written) => Read} */
const one = (name, write = format.seconds) => ({ e2e_s: summary }) => [write(summary?.[name] ?? null)];

/** The columns by their definitions. @type {[string, Read][]} */
const COLUMNS = [
  ["e2e", (s) => spread(s.e2e_s)], ["median", one("median")], ["min", one("min")], ["p90", one("p90")], ["p99", one("p99")],
  ["ttft", (s) => spread(s.ttft_s)], ["tpot", (s) => spread(s.tpot_s)], ["level", (s) => spread(s.level_s)],
  ["rate", (s) => [format.rate(s.tokens_per_s?.mean ?? null)]],
  ["runs", one("n", format.count)],
];

/** The words for a lane's place in the comparison, and the interval where the runs allow one.
 * @type {(document: DrawnMeasurement, lane: DrawnLane) => Child[]} */
const gain = (document, lane) => {
  const { baseline, lanes } = document.comparison ?? { baseline: null, lanes: [] };
  if (lane.strategy === baseline) return [el("small", {}, "baseline")];
  const found = lanes.find(({ strategy }) => strategy === lane.strategy);
  if (!found || found.speedup === null) return [format.none];
  const interval = found.low === null ? null : el("small", {}, ` [${format.times(found.low)}, ${format.times(found.high)}]`);
  return [el("span", found.significant ? { class: "kv-speed" } : {}, format.times(found.speedup)), interval];
};

/** @type {(lane: { name: string }, index: number, ...more: Child[]) => HTMLElement} */
export const laneName = (lane, index, ...more) => el("span", { class: "kv-lanename", style: `--lane: var(${laneColor(index)})` },
  el("i", { "aria-hidden": "true" }), el("bdi", {}, lane.name), ...more);

/** A cell that knows its own name, for where the table becomes cards.
 * @type {(key: string, nodes: Child[]) => HTMLElement} */
const cell = (key, nodes) => el("td", { "data-figure": key }, el("span", { class: "kv-cellname" }, term(definitions[key])), ...nodes);

/** How far a lane is, unless it is done.
 * @type {(lane: DrawnLane, settings: { repeats: number }) => string | null} */
const status = ({ status: now, runs }, { repeats }) => (now === "done" ? null : now === "running" ? `${runs.length} of ${repeats} runs` : now);

/** @type {(document: DrawnMeasurement, lane: DrawnLane, index: number, columns: [string, Read][]) => HTMLElement} */
const row = (document, lane, index, columns) => {
  const figures = columns.map(([key, read]) => cell(key, lane.statistics ? read(lane.statistics) : [format.none]));
  const far = status(lane, document.settings);
  return el("tr", { "data-strategy": lane.strategy, style: `--lane: var(${laneColor(index)})` },
    el("th", { scope: "row" }, laneName(lane, index, far ? el("small", {}, far) : null)),
    ...figures, cell("measured_speedup", gain(document, lane)));
};

/** @param {DrawnMeasurement} document */
const remarks = (document) => document.lanes.flatMap(({ name, error, warning, deterministic }) =>
  [error, warning, deterministic === false ? "The runs did not all write the same tokens." : null].flatMap((text) =>
    (text ? [el("p", { class: "kv-noise" }, el("b", {}, `${name}: `), text)] : [])));

/** What the strategies have to say of their own runs.
 * @param {DrawnMeasurement} document */
const findings = (document) => document.lanes.flatMap((lane) => (lane.remarks ?? []).map((remark) =>
  el("p", { class: "kv-quiet kv-finding" }, el("b", {}, `${lane.name}: `), remark)));

/** @param {string[]} keys */
const heads = (keys) => keys.map((key) => el("th", { scope: "col" }, term(definitions[key])));

/** @param {DrawnMeasurement} document */
export const measuredTable = (document) => {
  /** Columns that are there only if a lane has the figure. @type {Record<string, (statistics: measure.Statistics) => unknown>} */
  const some = { p99: ({ e2e_s: e2e }) => (e2e?.p99 ?? null) !== null, level: ({ level_s: level }) => level };
  const columns = COLUMNS.filter(([key]) => !some[key] || document.lanes.some(({ statistics }) => statistics && some[key](statistics)));
  const head = el("tr", {}, el("th", { scope: "col" }, "Lane"), ...heads([...columns.map(([key]) => key), "measured_speedup"]));
  return [
    el("table", { class: "kv-table kv-measured" }, el("thead", {}, head),
      el("tbody", {}, ...document.lanes.map((lane, index) => row(document, lane, index, columns)))),
    ...findings(document), ...remarks(document),
  ];
};

/** @param {measure.Published} entry */
const published = (entry) => {
  /** @type {(name: string, value: string) => HTMLElement} */
  const word = (name, value) => el("td", {}, el("span", { class: "kv-cellname" }, name), value);
  const seconds = entry.mean_s === null ? format.none : format.seconds(entry.mean_s) + (entry.std_s === null ? "" : ` ± ${format.seconds(entry.std_s)}`);
  return el("tr", {},
    el("th", { scope: "row" }, `${entry.device}, ${entry.model} `, basis("published")), word("Loop", entry.what),
    word("New tokens", format.count(entry.new_tokens)), word("E2E", seconds), word("Tokens/s", format.rate(entry.tokens_per_s)),
    word("Speed-up", format.times(entry.speedup)), el("td", { "data-words": true }, entry.source));
};

/** @param {measure.Published[]} rows */
export const publishedTable = (rows) => el("div", { class: "kv-apart" },
  el("header", {}, el("h4", {}, "Elsewhere: other code, other devices")),
  el("table", { class: "kv-table kv-published" },
    el("thead", {}, el("tr", {}, ...["Device and model", "Loop", "New tokens", "E2E", "Tokens/s", "Speed-up"].map((name) => el("th", { scope: "col" }, name)),
    el("th", { scope: "col", "data-words": true }, "Source"))),
    el("tbody", {}, ...rows.map(published))));
