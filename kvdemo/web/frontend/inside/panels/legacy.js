// The legacy format: the cache as a tuple of (keys, values) a layer, there and back, through a file, and the same tokens after each.
import { el } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { spell } from "../../base/token_text.js";
import { verdict } from "../drawing/columns.js";
import { several, shape } from "../drawing/scale.js";

/** @type {(title: string, ...children: Child[]) => HTMLElement} */
const box = (title, ...children) => el("div", { class: "kv-box" }, el("h4", {}, title), ...children);
/** @param {string} text */
const arrow = (text) => el("div", { class: "kv-arrow" }, el("span", {}, text), el("b", { "aria-hidden": "true" }, "→"));

class Legacy {
  constructor() {
    this.way = el("div", { class: "kv-way" });
    this.runs = el("div", { class: "kv-resumed" });
    this.verdict = el("div", {});
    this.element = el("div", {}, this.way, this.runs, this.verdict);
    this.more = [el("p", {}, "Older code and articles hold the cache as past_key_values, a tuple with a pair of tensors a layer. Since version 5 the library has no converter any more; "
      + "a DynamicCache still lists its layers as keys and values, and takes such a list, which is enough for both directions. The file holds the tuple’s tensors; a run that begins with it does not read the text again.")];
  }

  /** @param {inside.LegacyPanel} panel */
  show({ layers, shapes, other_shapes: others, bytes, file_bytes: file, tokens, pieces, converted, resumed, same }) {
    const [keys, values] = shapes.map(shape);
    const other = others.map((pair) => el("p", { class: "kv-quiet" }, `and in some layers keys ${shape(pair[0])}, values ${shape(pair[1])}`));
    this.way.replaceChildren(
      box("DynamicCache", el("p", {}, several(layers, "layer")), el("p", {}, format.bytes(bytes))), arrow("take apart"),
      box("Tuple of pairs", el("pre", {}, `(\n  (keys ${keys},\n   values ${values}),\n  … ${format.count(layers)} pairs\n)`), ...other), arrow("write"),
      box("File", el("p", {}, format.bytes(file))), arrow("read, put together"),
      box("DynamicCache", el("p", {}, "resumes here")));
    /** @type {[string, number[]][]} */
    const runs = [["From the cache as it was", tokens], ["After tuple and back", converted], ["After the file", resumed]];
    this.runs.replaceChildren(...runs.map(([name, ids]) => el("div", {},
      el("span", {}, name), el("p", { dir: "auto" }, ...ids.map((id, i) => el("span", { "data-odd": String(id !== tokens[i]), title: `token ${id}` }, ...spell(id === tokens[i] ? pieces[i] ?? "" : `#${id}`)))))));
    this.verdict.replaceChildren(verdict(same, same ? `The same ${several(tokens.length, "token")} each time.` : "The tokens differ after a conversion."));
  }
}

/** @type {import("../panel_frame.js").Panel<"legacy">} */
export const legacy = {
  name: "legacy",
  title: "The legacy format",
  short: "Legacy format",
  question: "What is a cache as data?",
  lead: "A cache is nothing but two tensors a layer: it can be taken apart into the tuple that older code uses, put together again, written to a file and resumed from it.",
  computes: "the cache as a tuple",
  form: ["prompt", "model", "chat", "max_new_tokens"],
  varied: [],
  make: () => new Legacy(),
};
