// Before the first race: what each chosen lane will do, drawn as the work of its first steps.
import { el } from "../base/dom.js";

const PROMPT = 4;
const KEPT = 2;
const STEPS = 6;
const WIDTHS = Array.from({ length: STEPS }, (_, step) => PROMPT + step);
// Each picture that a strategy may name (`Strategy.picture`): how the work of a step is spread over the sequence.
const CAPTIONS = {
  recompute: "Every step computes every position again.",
  cached: "After the prompt, a step computes one position and reads the others.",
  resumed: `Where the run before left the prompt’s first ${KEPT} tokens, the first step computes the others alone.`,
};

const computed = (kind, step) => {
  if (kind === "recompute") return WIDTHS[step];
  return step ? 1 : kind === "resumed" ? PROMPT - KEPT : PROMPT;
};

/** Rows are steps, cells are positions: filled where computed, outlined where read from the cache. */
const picture = (kind) => {
  const rows = WIDTHS.map((width, step) => {
    const fresh = computed(kind, step);
    const cells = Array.from({ length: width }, (_, i) => el("i", { class: i < width - fresh ? "kv-cached" : "kv-computed" }));
    return el("div", {}, el("b", {}, `step ${step + 1}`), ...cells, el("u", {}, String(fresh)));
  });
  return el("div", { class: "kv-picture", "aria-hidden": "true" }, ...rows);
};

/** The same in words, with the sum that the picture shows. */
const caption = (kind) => {
  const sum = WIDTHS.reduce((total, _, step) => total + computed(kind, step), 0);
  return el("figcaption", {}, CAPTIONS[kind],
    el("small", {}, `For ${PROMPT} prompt tokens and ${STEPS} new ones that makes ${sum} positions.`));
};

const key = (kind) => el(
  "p", { class: "kv-key", "aria-hidden": "true" },
  el("span", {}, el("i", { class: "kv-computed" }), "computed in this step"),
  kind !== "recompute" ? el("span", {}, el("i", { class: "kv-cached" }), "read from the cache") : null,
);

/** First paragraph of a docstring, its line breaks undone. */
const opening = (text) => (text ?? "").trim().split(/\n\s*\n/)[0].replace(/\s+/g, " ");

/** The body of a lane that has not run yet. */
export const previewBody = (strategy) => {
  const kind = strategy.picture;
  const unavailable = strategy.reason ? el("p", { class: "kv-note kv-failed" }, `It cannot run on this model: ${strategy.reason}`) : null;
  const words = opening(strategy.description);
  return el(
    "div", { class: "kv-preview" },
    unavailable,
    kind ? el("figure", {}, picture(kind), key(kind), caption(kind)) : null,
    words && words !== strategy.summary ? el("p", { class: "kv-words" }, words) : null,
  );
};
