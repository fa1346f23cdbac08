// The past does not change: hidden states before and after a token is appended, and what a mask that looks ahead would do.
import { el } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { spell } from "../../base/token_text.js";
import { columnKeys, columnsChart, table, verdict } from "../drawing/columns.js";
import { difference, several } from "../drawing/scale.js";

/** @param {number} layer */
const named = (layer) => (layer === 0 ? "embedding" : `layer ${layer}`);
/** The layer that differs most.
 * @param {inside.LayerDifference[]} layers */
const largest = (layers) => layers.reduce((most, one) => (one.largest_difference > most.largest_difference ? one : most), layers[0]);

/** How much the largest difference is of the largest value in its layer, in words.
 * @param {inside.LayerDifference[]} layers */
const share = (layers) => {
  const { largest_difference: off, scale, layer } = largest(layers);
  return scale > 0 ? ` (${named(layer)}, whose hidden states are numbers up to ${difference(scale)}: ${format.percent(off / scale)} of that)` : "";
};

/** Of the layers that are beyond their tolerance, the one that differs most.
 * @param {inside.LayerDifference[]} layers */
const broken = (layers) => largest(layers.filter(({ holds }) => !holds));
/** What rounding may make of a layer’s difference, in words; `part` of the largest number of its position.
 * @type {(layer: inside.LayerDifference, part: number) => string} */
const limit = ({ tolerance }, part) => (tolerance > part
  ? `the tolerance of ${difference(tolerance)}: ${difference(part)} of the largest number of that position, ${difference(tolerance / part)}` : `the tolerance of ${difference(tolerance)}`);

/** What the colours stand for. @type {[string, string][]} */
const [OWN, AHEAD, LIMIT] = [["computed", "as the model is: no position looks ahead"], ["without", "if each position could look ahead"], ["limit", "tolerance, a share of the position’s largest number"]];

class Past {
  constructor() {
    this.broken = false;
    /** @type {inside.PastPanel | null} */
    this.panel = null;
    this.texts = el("p", { class: "kv-appended", dir: "auto" });
    this.verdict = el("div", {});
    this.chart = el("div", {});
    this.button = el("button", { type: "button", class: "kv-button kv-try", "aria-pressed": "false", onclick: () => this.#switch() }, "What would break it?");
    this.why = el("p", { class: "kv-quiet", role: "status" });
    this.element = el("div", { class: "kv-past" }, this.texts, this.verdict, this.chart, el("div", { class: "kv-tryrow" }, this.button, this.why));
    this.note = el("p", { dir: "auto" });
    this.table = el("div", {});
    this.more = [
      el("p", {}, "A position’s hidden state is computed from itself and the positions before it (the causal mask), so what comes later cannot reach it. "
        + "Its key and value are made from its hidden state: what was kept stays right. Differences come from rounding, since longer inputs are summed in another order."),
      this.note, el("p", {}, "The largest difference of the hidden states, layer by layer, as the model is and if each position could look ahead, and the largest value in the layer:"), this.table,
    ];
  }

  #switch() {
    this.broken = !this.broken;
    this.button.setAttribute("aria-pressed", String(this.broken));
    this.#draw();
  }

  /** @param {inside.PastPanel} panel */
  show(panel) {
    this.panel = panel;
    const { text, appended, note, layers, bidirectional } = panel;
    this.texts.replaceChildren(el("span", {}, ...spell(text)), el("ins", {}, ...spell(appended)));
    this.note.textContent = note ?? "";
    const around = "cannot" in bidirectional ? null : bidirectional;
    this.table.replaceChildren(table("Largest difference of the hidden states", ["Layer", "as it is", "looking ahead", "largest value"],
      layers.map(({ layer, largest_difference: own, scale }, i) => [named(layer), difference(own), around ? difference(around[i].largest_difference) : "–", difference(scale)])));
    this.#draw();
  }

  #draw() {
    if (!this.panel) return;
    const { shared, tolerance, layers, holds, bidirectional, note } = this.panel;
    const around = this.broken && !("cannot" in bidirectional) ? bidirectional : null;
    const most = holds ? largest(layers) : broken(layers);
    const same = layers.filter(({ largest_difference: value }) => value === 0).length;
    const found = most.largest_difference === 0 ? `all ${several(layers.length, "state")}, from the embedding to the last layer, are exactly equal`
      : `the hidden states differ by ${difference(most.largest_difference)}${holds ? " at most" : ""} (${named(most.layer)}), ${holds ? "within" : "beyond"} ${limit(most, tolerance)}`
        + `${same ? `; ${several(same, "layer")} exactly equal` : ""}`;
    const text = `${several(shared, "shared position")}: ${found}.`;
    this.verdict.replaceChildren(verdict(holds, note ? `${text} ${note}` : text));
    const columns = layers.map(({ layer, largest_difference: own, tolerance: allowed }, i) => ({
      label: layer === 0 ? "emb" : String(layer), limit: around ? Math.min(allowed, around[i].tolerance) : allowed,
      title: `${named(layer)}: ${difference(own)}, tolerance ${difference(allowed)}${around ? `, ${difference(around[i].largest_difference)} looking ahead` : ""}`,
      bars: [{ value: own, kind: "computed" }, ...(around ? [{ value: around[i].largest_difference, kind: "without" }] : [])],
    }));
    const most2 = around && largest(around);
    this.chart.replaceChildren(
      columnsChart({ columns, axis: "layer",
        label: `Largest difference a layer. ${text}${most2 ? ` Looking ahead: ${difference(most2.largest_difference)} in ${named(most2.layer)}.` : ""}` }),
      columnKeys(around ? [OWN, AHEAD, LIMIT] : [OWN, LIMIT]));
    this.button.textContent = this.broken ? "Back to the model as it is" : "What would break it?";
    if (!this.broken) this.why.textContent = "";
    else if ("cannot" in bidirectional) this.why.textContent = bidirectional.cannot;
    else this.why.textContent = `If each position could look ahead, the new token would change the past by up to ${difference(largest(bidirectional).largest_difference)}${share(bidirectional)}: everything kept would be wrong, and no cache could work.`;
  }
}

/** @type {import("../panel_frame.js").Panel<"past">} */
export const past = {
  name: "past",
  title: "The past does not change",
  short: "The past",
  question: "Why may it be kept at all?",
  lead: "Append a token and compare what every layer holds of the earlier ones: nothing but rounding differs, because no position looks ahead, so what was computed once is right for good.",
  computes: "the hidden states before and after",
  form: ["prompt", "model", "chat", "append"],
  varied: [],
  make: () => new Past(),
};
