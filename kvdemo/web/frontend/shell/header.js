// The header: what this is, and which model runs on what. Details unfold from the pill.
import { on } from "../base/bus.js";
import { el, mount, present, within, write } from "../base/dom.js";
import { format } from "../base/format.js";
import { modelStatus, takeStatus } from "../base/status.js";
import { tabRow } from "./tabs.js";

/** @type {Record<string, string>} */
const KIND = { folder: "folder", "hub cache": "Hub cache", hub: "Hub", pypi: "PyPI" };
/** @type {(text: string | null, n: number) => string | null} */
const short = (text, n) => (text && text.length > n ? `${text.slice(0, n)}…` : text);
/** @param {string} path */
const last = (path) => path.replace(/\/$/, "").split("/").at(-1);
/** @param {race.Model} model */
const kind = ({ source }) => KIND[source?.kind] ?? source?.kind;

/** @param {race.Model} model */
const summary = (model) => present([last(model.id), kind(model), model.dtype, model.device, short(model.revision, 7)]);

// What differs from layer to layer is a list.
/** @param {number | number[] | null} value */
const or = (value) => [value].flat().join(" or ");
/** @param {race.Model} model */
const shape = ({ layers, kv_heads: heads, head_dim: width }) => [
  layers ? `${layers} layers` : null,
  heads ? `${or(heads)} KV ${heads === 1 ? "head" : "heads"} of ${or(width)}` : null,
].filter(Boolean).join(", ");

/** @type {(model: race.Model) => [string, string][]} */
const details = (model) => Object.entries({
  Model: model.id,
  "Served from": present([kind(model), model.source?.location]).join(": "),
  Revision: model.revision,
  Precision: model.dtype,
  Device: model.device,
  Attention: model.attention,
  Parameters: format.count(model.parameters),
  Shape: shape(model),
  Context: model.context_length ? `${format.count(model.context_length)} tokens` : null,
  "Chat template": model.chat_template ? "yes" : "no",
}).flatMap(([name, value]) => (value ? [[name, value]] : []));

class Header {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.label = el("span", { class: "kv-model" }, "Starting");
    this.pill = el("button", { type: "button", class: "kv-pill", "aria-expanded": "false", "aria-controls": "kv-details",
      onclick: () => this.toggle(this.pointed || this.card.hidden) }, el("i", { "aria-hidden": "true" }), this.label);
    this.card = el("div", { class: "kv-details", id: "kv-details", role: "region", "aria-label": "Model details", hidden: true });
    /** A mouse is on it, which has opened it: a click does not close it again. */
    this.pointed = false;
    /** @param {PointerEvent} event */
    const point = (event) => {
      if (event.pointerType !== "mouse") return;
      this.pointed = event.type === "pointerenter";
      this.toggle(this.pointed);
    };
    const wrap = el("div", { class: "kv-pillbox", onpointerenter: point, onpointerleave: point }, this.pill, this.card);
    wrap.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle(false));
    document.addEventListener("pointerdown", (event) => within(event, wrap) || this.toggle(false));
    mount(element, el(
      "header", { class: "kv-header" },
      el("h1", {}, "kvdemo"), tabRow(), el("p", {}, "What a language model’s KV cache buys, measured as you watch."), wrap));
  }

  /** @param {boolean} open */
  toggle(open) {
    this.card.hidden = !open || !this.card.childElementCount;
    this.pill.setAttribute("aria-expanded", String(!this.card.hidden));
  }

  /** @param {Status} status */
  status({ state, text, fraction, model }) {
    this.pill.dataset.state = state;
    if (model) return this.model(model);
    const percent = state === "loading" && fraction !== null && fraction !== undefined ? ` ${Math.round(fraction * 100)} %` : "";
    write(this.label, state === "failed" ? "No model" : `${text || "Loading the model"}${percent}`);
    return this.card.replaceChildren(...(text ? [el("p", {}, text)] : []));
  }

  /** @param {race.Model} model */
  model(model) {
    this.pill.dataset.state = "ready";
    this.label.replaceChildren(...summary(model).map((part) => el("span", {}, part)));
    this.card.replaceChildren(el("dl", {}, ...details(model).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
  }
}

/** @type {Header | null} */
let header = null;
/** The model of the last run. @type {string | null} */
let ran = null;

/** @type {DrawElement<Status | null, null>} */
export const drawHeader = (element, props, watch, ask) => {
  header = new Header(element);
  // A run on another model than the one that was known: what the strategies can do on it is asked anew.
  on("settled", () => ran && ran !== modelStatus()?.model?.id && ask());
  const take = () => {
    if (!props.value) return;
    header?.status(props.value);
    takeStatus(props.value);
  };
  watch("value", take);
  take();
};
on("model", (model) => {
  ran = model.id;
  header?.model(model);
});
