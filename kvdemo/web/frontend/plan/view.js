// The Plan tab: what kvdemo/costs/planner.py worked out, as a sentence, a bar, figures, a chart and a table.
import { on } from "../base/bus.js";
import { el, mount, write } from "../base/dom.js";
import { format } from "../base/format.js";
import { basis, term } from "../base/explain/terms.js";
import { GrowthChart } from "./chart.js";
import { roundBytes } from "./ticks.js";

/** @typedef {plan.PlanDocument} PlanDocument */
/** @typedef {"weights" | "cache" | "free" | "over"} Part */

/** The parts of the memory bar, in their order. @type {Record<Part, string>} */
const PARTS = { weights: "Weights", cache: "Cache", free: "Free", over: "Too much" };

/** @param {number} n */
const tokens = (n) => `${format.count(n)} ${n === 1 ? "token" : "tokens"}`;
/** @param {number} n */
const thousands = (n) => (n % 1024 === 0 ? `${n / 1024}k` : format.count(n));

// --- the memory bar

/** Bytes of each part, over the larger of what there is and what is needed.
 * @param {PlanDocument} plan */
const shares = ({ settings, weights, cache, fit }) => {
  const { memory_bytes: memory } = settings;
  const whole = Math.max(memory, fit.needed_bytes);
  /** @type {Record<Part, number>} */
  const parts = { weights: weights.bytes, cache: cache.at_context.batch_bytes, free: Math.max(0, memory - fit.needed_bytes), over: Math.max(0, fit.needed_bytes - memory) };
  return { parts, edge: memory / whole, width: (/** @type {number} */ bytes) => `${(100 * bytes) / whole}%` };
};

/** @type {(plan: PlanDocument, terms: Definitions) => Node[]} */
const memoryBar = (plan, terms) => {
  const { parts, edge, width } = shares(plan);
  /** @param {Part} part */
  const segment = (part) => el("i", { "data-part": part, style: `width:${width(parts[part])}` });
  const { context, batch } = plan.settings;
  /** @type {Partial<Record<Part, Definition>>} */
  const label = { weights: terms.weights, cache: terms.cache };
  const named = /** @type {Part[]} */ (Object.keys(PARTS)).filter((part) => part !== (parts.over ? "free" : "over"));
  const words = named.map((part) => `${PARTS[part]} ${format.bytes(parts[part])}`);
  return [
    el("div", { class: "kv-memory", role: "img", "aria-label": `${roundBytes(plan.settings.memory_bytes)} of memory. ${words.join(", ")}.` },
      segment("weights"), segment("cache"), segment("free"),
      parts.over ? el("u", { style: `left:${100 * edge}%` }) : null),
    el("ul", { class: "kv-memorykeys" }, ...named.map((part) => {
      const definition = label[part];
      return el("li", { "data-part": part }, el("i", { "aria-hidden": "true" }), definition ? term(definition) : el("span", {}, PARTS[part]),
        el("b", {}, format.bytes(parts[part])),
        part === "cache" ? el("small", {}, `${batch === 1 ? "" : `${format.count(batch)} × `}${tokens(context)}`) : null);
    })),
  ];
};

// --- figures

/** @type {(definition: Definition, source: string, value: string, note: string | null) => HTMLElement} */
const fact = (definition, source, value, note) => el("div", {}, el("dt", {}, term(definition), " ", basis(source)), el("dd", {}, value, note ? el("small", {}, note) : null));

/** @type {(plan: PlanDocument, terms: Definitions) => HTMLElement} */
const facts = ({ model, settings, cache, fit, decode }, terms) => {
  const { context_length: made } = model;
  const longest = fit.largest_context;
  const alone = settings.batch === 1;
  const beyond = made && longest && longest > made ? `made for ${format.count(made)}` : null;
  return el("dl", { class: "kv-facts" },
    fact(terms.bytes_per_token, cache.basis, format.bytes(cache.bytes_per_token), `in ${settings.cache_dtype}`),
    fact(terms.largest_context, fit.basis, longest === null ? "any" : format.count(longest), longest === null ? "the cache stops growing" : beyond),
    fact(terms.largest_batch, fit.basis, format.count(fit.largest_batch), `at ${tokens(settings.context)} each`),
    fact(terms.outgrows, cache.basis, cache.outgrows_weights_at === null ? "never" : format.count(cache.outgrows_weights_at), cache.outgrows_weights_at === null ? null : "tokens of one sequence"),
    fact(terms.floor, decode.basis, format.seconds(decode.ms_per_token / 1000), `a step reads ${format.bytes(decode.bytes_read)}`),
    fact(terms.rate, decode.basis, `≤ ${format.rate(decode.batch_tokens_per_s)}`, alone ? "one sequence" : `${format.rate(decode.tokens_per_s)} a sequence`));
};

// --- table

/** @param {PlanDocument} plan */
const table = ({ settings, weights, cache }) => {
  const { batch, memory_bytes: memory } = settings;
  const columns = ["One sequence", ...(batch > 1 ? [`${format.count(batch)} sequences`] : []), "With the weights", `Of ${roundBytes(memory)}`];
  /** @param {plan.Size} size */
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

// --- the whole

/** @type {(title: string, hint: Child[], ...children: Child[]) => HTMLElement} */
const block = (title, hint, ...children) => el("section", { class: "kv-block", "aria-label": title }, el("header", {}, el("h3", {}, title), ...hint), ...children);
/** @param {string[]} items */
const list = (items) => el("ul", { class: "kv-notes" }, ...items.map((item) => el("li", {}, item)));

/** What the tab draws: a plan, or what is wrong with the form.
 * @typedef {{ plan: PlanDocument | null, error: string | null }} Drawn */

class Plan {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer = undefined;

  /**
   * @param {HTMLElement} element
   * @param {Definitions} terms
   */
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
    mount(element, this.root);
  }

  /** @param {Drawn} drawn */
  take({ plan, error }) {
    this.alert.hidden = !error;
    this.alert.replaceChildren(...(error ? [el("p", {}, error)] : []));
    this.root.toggleAttribute("data-stale", Boolean(error));
    if (plan?.headline) this.show(plan); // Gradio empties a value on its way to the next one
  }

  /** @param {PlanDocument} plan */
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

  /** @param {boolean} at */
  busy(at) {
    clearTimeout(this.timer);
    this.root.setAttribute("aria-busy", String(at));
    if (!at) this.work.hidden = true;
    else this.timer = setTimeout(() => { this.work.hidden = false; }, 500);
  }
}

/** Worked out when the tab is first opened, and from then on when the form has changed and come to rest.
 * @type {DrawElement<Drawn, Definitions>} */
export const drawPlan = (element, props, watch, _fire, terms) => {
  const tab = new Plan(element, terms);
  watch("value", () => tab.take(props.value));
  tab.take(props.value);
  on("asking", ({ tab: name, busy }) => name === "plan" && tab.busy(busy));
};
