// From scratch: the file of an attention with preallocated buffers, run token by token against full causal attention.
import { el } from "../../base/dom.js";
import { chooser } from "../chooser.js";
import { columnKeys, columnsChart, verdict } from "../drawing/columns.js";
import { codeLine, lines } from "../drawing/highlight.js";
import { difference, several, shape } from "../drawing/scale.js";

/** Calls that are drawn as rows. */
const ROWS = 16;
const SIZES = ["dim", "heads", "positions", "seed"];

class Scratch {
  /** @param {import("../panel_frame.js").Host} host */
  constructor(host) {
    this.sizes = SIZES.filter((key) => key in host.settings.facts).map((key) => chooser(host, key));
    this.verdict = el("div", {});
    this.buffer = el("div", { class: "kv-buffer" });
    this.chart = el("div", {});
    this.path = el("code", {});
    this.code = el("ol", { class: "kv-code", tabindex: "0" });
    this.choosers = el("div", { class: "kv-choosers" }, ...this.sizes.map(({ element }) => element));
    this.element = el("div", { class: "kv-scratch" },
      el("div", {}, this.verdict, this.buffer, this.chart),
      el("section", { class: "kv-loop", "aria-label": "The file" }, el("header", {}, el("h4", {}, "The whole of it"), this.path), this.code));
    this.more = [el("p", {}, "The buffers for keys and values are made once, as long as the text may become. Each call writes its positions at start_pos and reads everything up to there, "
      + "which is what a static cache does. The numbers are random: with a trained model’s weights the same holds.")];
  }

  /** @param {inside.ScratchPanel} panel */
  show({ path, source, buffer_shape: buffer, steps, largest_difference: largest, tolerance, holds }) {
    this.path.textContent = path;
    this.code.setAttribute("aria-label", `Source of ${path}`);
    this.code.replaceChildren(...lines(source.replace(/\n$/, "")).map((line, i) => el("li", {}, el("span", { class: "kv-number", "aria-hidden": "true" }, String(i + 1)), codeLine(line))));
    this.verdict.replaceChildren(verdict(holds, `Fed in ${several(steps.length, "call")}, it differs from full causal attention by ${difference(largest)} at most, `
      + `${holds ? "within" : "beyond"} the tolerance of ${difference(tolerance)}.`));
    const length = buffer[1];
    const last = steps[steps.length - 1];
    this.buffer.replaceChildren(
      el("p", { class: "kv-quiet" }, `Two buffers ${shape(buffer)}: batch, positions, heads, head size. Call by call, ${several(last.buffer_used, "position")} of ${length} are filled${steps.length > ROWS ? `; the first ${ROWS} calls` : ""}:`),
      el("div", { class: "kv-bufferrows", "aria-hidden": "true" }, ...steps.slice(0, ROWS).map(({ start_pos: start, positions, buffer_used: used }) => el("div", {},
        el("i", { "data-kind": "saved", style: `width: ${(100 * start) / length}%` }),
        el("i", { "data-kind": "computed", style: `width: ${(100 * positions) / length}%` }),
        el("i", { "data-kind": "ahead", style: `width: ${(100 * (length - used)) / length}%` })))),
      columnKeys([["computed", "written in this call"], ["saved", "read"], ["ahead", "empty"]]));
    this.chart.replaceChildren(columnsChart({ axis: "call", line: { value: tolerance, label: "tolerance" }, least: 1e-9,
      label: `Largest difference a call, ${difference(largest)} at most.`,
      columns: steps.map(({ start_pos: start, largest_difference: off }) => ({ label: String(start), title: `start_pos ${start}: ${difference(off)}`, bars: [{ value: off, kind: "computed" }] })) }));
  }
}

/** @type {import("../panel_frame.js").Panel<"scratch">} */
export const scratch = {
  name: "scratch",
  title: "From scratch",
  short: "From scratch",
  question: "How little code is it?",
  lead: "Attention with a cache, written out in one short file of this repository and run just now: fed token by token, it gives what full attention over the whole text gives.",
  computes: "attention with two buffers",
  form: [],
  varied: SIZES,
  make: (host) => new Scratch(host),
};
