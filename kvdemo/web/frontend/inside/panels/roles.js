// K and V, not Q: for each past position which of query, key and value the new token's query reads.
import { el } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { spell } from "../../base/token_text.js";
import { chooser } from "../chooser.js";
import { table } from "../drawing/columns.js";
import { difference, several, shape } from "../drawing/scale.js";

/** How many heads of queries read each head of keys and values, in words.
 * @type {(queries: number, keys: number) => string} */
const sharing = (queries, keys) => {
  if (queries === keys) return `Each of the ${several(queries, "query head")} of this layer has a key and a value head of its own.`;
  return `In this layer ${several(queries, "query head")} share ${several(keys, "key and value head")}, ${queries % keys ? "several" : format.count(queries / keys)} to each: `
    + `the cache keeps ${format.count(keys)} of ${format.count(queries)}, so it is ${format.times(queries / keys)} smaller than with a head for each.`;
};

class Roles {
  /** @param {import("../panel_frame.js").Host} host */
  constructor(host) {
    this.layer = chooser(host, "layer");
    this.picture = el("div", { class: "kv-roles", role: "table", "aria-label": "What the new token reads of each position" });
    this.note = el("p", { class: "kv-quiet", dir: "auto" });
    this.percent = el("p", { class: "kv-quiet" }, "In colour: how much the new query reads of each position, the mean over the heads.");
    this.bytes = el("div", {});
    this.choosers = el("div", { class: "kv-choosers" }, this.layer.element);
    this.element = el("div", {}, this.picture, this.percent, this.note, this.bytes);
    this.shapes = el("p", {});
    this.table = el("div", {});
    this.more = [
      el("p", {}, "A query asks, a key answers how well it fits, a value is what is taken over. A position’s query is used once, when that position is the newest; "
        + "its key and value are used by every later query."),
      this.shapes, el("p", {}, "How far appending the token changes the query, the key and the value of each position, and how much the new query reads of it:"), this.table,
    ];
  }

  /** @param {inside.RolesPanel} panel */
  show(panel) {
    const { rows, asking } = panel;
    this.layer.bound(panel.layers - 1);
    const most = Math.max(...rows.map(({ weight }) => weight), 1e-9);
    /** @type {(name: string, attributes: Attributes, ...children: Child[]) => HTMLElement} */
    const cell = (name, attributes, ...children) => el("span", { role: name, ...attributes }, ...children);
    /** @param {inside.Row} row */
    const line = ({ piece, weight, position }) => el("div", { role: "row" },
      cell("rowheader", { dir: "auto" }, ...spell(piece)),
      cell("cell", { "data-role": "query", title: `The query of position ${position} is never read again` }, "never again"),
      ...["key", "value"].map((role) => cell("cell", { "data-role": role, style: `--much: ${Math.round(8 + 44 * Math.sqrt(weight / most))}%` },
        role === "key" ? format.percent(weight) : "")));
    this.picture.replaceChildren(
      el("div", { role: "row" }, ...["Token", "Query", "Key", "Value"].map((name) => cell("columnheader", {}, name))),
      ...rows.map(line),
      el("div", { role: "row", "data-new": true }, cell("rowheader", { dir: "auto" }, ...spell(asking)),
        cell("cell", { "data-role": "asks" }, "asks all"), ...["key", "value"].map((role) => cell("cell", { "data-role": "fresh", title: `Its ${role} is kept from now on` }, "kept"))));
    this.note.textContent = panel.note ?? "";
    this.#bytes(panel);
    this.shapes.textContent = `In this layer, over the whole text: queries ${shape(panel.query_shape)}, keys ${shape(panel.key_shape)}, values ${shape(panel.value_shape)}.`;
    this.table.replaceChildren(table("How far appending a token changes each row", ["Position", "query", "key", "value", "read by the new query"],
      rows.map(({ position, query_difference: q, key_difference: k, value_difference: v, weight }) => [String(position), ...[q, k, v].map(difference), format.percent(weight)])));
  }

  /** @param {inside.RolesPanel} panel */
  #bytes({ bytes, query_bytes: queries, rows, query_shape: heads, key_shape: keys }) {
    const all = bytes + queries;
    /** @type {(kind: string, size: number) => HTMLElement} */
    const part = (kind, size) => el("i", { "data-kind": kind, style: `width: ${(100 * size) / all}%` });
    this.bytes.replaceChildren(
      el("div", { class: "kv-bytesbar", role: "img", "aria-label": `Keys and values take ${format.bytes(bytes)}; queries would add ${format.bytes(queries)}.` },
        part("computed", bytes), part("waste", queries)),
      el("p", { class: "kv-now" }, el("b", {}, format.bytes(bytes)), ` of keys and values are kept of ${several(rows.length, "token")}, in all layers; keeping the queries too would add `,
        el("b", {}, format.bytes(queries)), " that nothing ever reads."),
      el("p", { class: "kv-now" }, sharing(heads[1], keys[1])));
  }
}

/** @type {import("../panel_frame.js").Panel<"roles">} */
export const roles = {
  name: "roles",
  title: "K and V, not Q",
  short: "K and V",
  question: "Why keys and values, but no queries?",
  lead: "The new token’s query reads the keys and values of all positions before it; their own queries have been used and are never read again, so keeping them would be waste.",
  computes: "queries, keys and values",
  form: ["prompt", "model", "chat", "append"],
  varied: ["layer"],
  make: (host) => new Roles(host),
};
