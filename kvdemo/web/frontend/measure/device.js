// What the device was measured to reach, and what the cache takes: measured where a lane ran, by the formula beyond.
import { el, present } from "../base/dom.js";
import { format } from "../base/format.js";
import { basis, definitions, term } from "../base/explain/terms.js";
import { laneName } from "./table.js";

/** @type {(key: string, value: string, note?: string | null) => HTMLElement} */
const fact = (key, value, note = null) => el("div", {}, el("dt", {}, term(definitions[key])), el("dd", {}, value, note ? el("small", {}, note) : null));

/** The device's ceilings; a sentence while they have not been measured.
 * @param {DrawnMeasurement} document */
export const deviceLimits = ({ limits }) => (limits
  ? el("dl", { class: "kv-facts" },
    fact("copy", `${format.bytes(limits.copy_bytes_per_s)}/s`), fact("matvec", `${format.bytes(limits.matvec_bytes_per_s)}/s`),
    limits.read_bytes_per_s ? fact("read", `${format.bytes(limits.read_bytes_per_s)}/s`) : null,
    limits.eager_bytes_per_s ? fact("one_row", `${format.bytes(limits.eager_bytes_per_s)}/s`,
      limits.packed_bytes_per_s ? `packed: ${format.bytes(limits.packed_bytes_per_s)}/s` : null) : null,
    fact("matmul", format.flops(limits.matmul_flops_per_s)), fact("launch", format.seconds(limits.launch_s)))
  : el("p", { class: "kv-quiet" }, "Not measured in this run."));

/** @type {(lane: DrawnLane, index: number) => HTMLElement} */
const cacheRow = (lane, index) => {
  const { cache_bytes: measured, cache_bytes_formula: formula, cache_bytes_formula_note: means, peak_bytes: peak, peak_note: note } = lane.memory;
  /** @type {(key: string, ...nodes: Child[]) => HTMLElement} */
  const cell = (key, ...nodes) => el("td", {}, el("span", { class: "kv-cellname" }, term(definitions[key])), ...nodes);
  const none = measured === 0 ? "keeps none" : format.bytes(measured);
  const same = measured && measured === formula ? el("small", {}, " equal") : means && measured ? el("small", {}, ` ${means}`) : null;
  return el("tr", {}, el("th", { scope: "row" }, laneName(lane, index)),
    cell("cache_measured", none), cell("cache_formula", formula === null || measured === 0 ? format.none : format.bytes(formula), same),
    cell("peak", peak === null ? el("small", {}, note ? "not measured" : format.none) : format.bytes(peak)));
};

/** @param {DrawnMeasurement} document */
export const cacheTable = (document) => {
  const ran = document.lanes.flatMap((lane, index) => (lane.statistics ? [cacheRow(lane, index)] : []));
  const notes = [...new Set(present(document.lanes.map(({ memory }) => memory.peak_note)))];
  if (!ran.length) return [];
  return [
    el("h4", {}, "The cache at the end of a run"),
    el("table", { class: "kv-table" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Lane"),
      ...["cache_measured", "cache_formula", "peak"].map((key) => el("th", { scope: "col" }, term(definitions[key]))))),
    el("tbody", {}, ...ran)),
    ...notes.map((note) => el("p", { class: "kv-quiet" }, note)),
  ];
};

/** @param {number} n */
const thousands = (n) => (n % 1024 === 0 ? `${n / 1024}k` : format.count(n));

/** @param {DrawnMeasurement} document */
export const cacheFormula = ({ memory }) => {
  if (!memory) return [];
  /** @type {(name: string, value: string, note?: string) => HTMLElement} */
  const plain = (name, value, note) => el("div", {}, el("dt", {}, name), el("dd", {}, value, note ? el("small", {}, note) : null));
  const outgrows = memory.outgrows_weights_at === null ? "never" : `${format.count(memory.outgrows_weights_at)} tokens`;
  return [
    el("h4", {}, "At longer contexts ", basis("formula")),
    el("dl", { class: "kv-facts" }, plain("A token", format.bytes(memory.bytes_per_token)),
      ...memory.at.map(({ positions, bytes }) => plain(`${thousands(positions)} tokens`, format.bytes(bytes), `${format.times(bytes / memory.weight_bytes)} the weights`)),
      fact("outgrows", outgrows, `the weights take ${format.bytes(memory.weight_bytes)}`)),
  ];
};
