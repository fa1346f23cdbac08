// Attention weights in the triangle: fetched for one layer and head when the reader asks for them.
import { el, write } from "../../base/dom.js";
import { contextOf } from "../drawing/canvas.js";
import { chooser } from "../chooser.js";
import { weightPixels } from "./triangle.js";

/** The red, green and blue of a colour as style sheets write it.
 * @param {string} color */
const channels = (color) => {
  const context = contextOf(el("canvas", { width: 1, height: 1 }));
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
};

export class AttentionColors {
  /**
   * @param {import("../panel_frame.js").Host} host
   * @param {() => void} changed there is something else to draw
   */
  constructor(host, changed) {
    this.host = host;
    this.changed = changed;
    /** @type {inside.AttentionPanel | null} */
    this.panel = null;
    /** The picture, and the colour that it has. @type {HTMLCanvasElement | null} */
    this.made = null;
    this.color = "";
    this.box = el("input", { type: "checkbox" });
    this.box.addEventListener("change", () => this.#switch());
    this.layer = chooser(host, "layer");
    this.head = chooser(host, "head");
    this.note = el("p", { class: "kv-quiet", role: "status", dir: "auto" });
    this.choose = el("div", { class: "kv-choosers", hidden: true }, this.layer.element, this.head.element);
    this.element = el("div", { class: "kv-attention" },
      el("label", {}, this.box, "Colour by the real attention weights"), this.choose, this.note);
    host.questions.add("attention", { form: ["prompt", "model", "chat", "max_new_tokens"], varied: ["layer", "head"], take: (answer) => this.#take(answer) });
  }

  /** Switches the colours on, as the reader's tick does. */
  open() {
    if (this.box.checked) return;
    this.box.checked = true;
    this.#switch();
  }

  #switch() {
    this.choose.hidden = !this.box.checked;
    write(this.note, "");
    this.host.questions.want("attention", this.box.checked);
    this.changed();
  }

  /** @param {import("../questions.js").Answer<"attention">} answer */
  #take({ state, text, panel }) {
    const working = state === "working" || state === "stale";
    write(this.note, working ? "Computing the weights" : text ?? "");
    if (state === "cannot" || state === "error" || state === "stopped") this.panel = this.made = null;
    if (state === "shown") {
      this.panel = panel;
      this.made = null;
      this.layer.bound(panel.layers - 1);
      this.head.bound(panel.heads - 1);
      write(this.note, "The stronger the colour, the more the row’s query reads of the column’s value; each row adds up to 100 %.");
    }
    if (!working) this.changed();
  }

  /** Another text: what was fetched belongs to the last one. */
  load() { this.panel = this.made = null; }

  /** What a query reads of a key, or null while that is not shown.
   * @param {{ query: number, key: number }} at */
  weight({ query, key }) { return this.box.checked ? this.panel?.rows[query]?.[key] ?? null : null; }

  /** A picture with a pixel a product, or null while none is to be shown.
   * @param {string} color */
  picture(color) {
    if (!this.box.checked || !this.panel) return null;
    if (this.made && this.color === color) return this.made;
    const { length } = this.panel.rows;
    this.color = color;
    this.made = el("canvas", { width: length, height: length });
    contextOf(this.made).putImageData(new ImageData(weightPixels(this.panel.rows, channels(color)), length, length), 0, 0);
    return this.made;
  }
}
