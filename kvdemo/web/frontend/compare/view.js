// Two documents against each other: the headline, a row for each figure with its ratio drawn, and what differs.
import { el, mount, present, whenThere, write } from "../base/dom.js";
import { format } from "../base/format.js";
import { term } from "../base/explain/terms.js";
import { explain } from "../base/explain/tooltip.js";

/** @typedef {"good" | "bad" | "none"} Claim what a row allows to say, as a colour */
/** @typedef {{ end: number, at: (ratio: number) => number }} Axis where it ends, and where a ratio stands on it, in percent */
/** @typedef {Pick<comparison.Speedup, "ratio" | "low" | "high">} Interval */

/** @type {("a" | "b")[]} */
const SIDES = ["a", "b"];
/** Where the axis of the ratios may end, so that its ends are round. */
const ENDS = [1.1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000];

/** What a row's runs allow to say, in two words and a colour.
 * @type {(row: comparison.Figure) => [string, Claim]} */
const claim = ({ significant, ratio }) => {
  if (significant === true) return ratio < 1 ? ["B is faster", "good"] : ["B is slower", "bad"];
  return significant === false ? ["no difference shown", "none"] : ["no claim", "none"];
};

/** The ratios' common axis: logarithmic, 1 in its middle.
 * @type {(rows: Interval[]) => Axis} */
const axis = (rows) => {
  const reach = Math.max(...rows.flatMap(({ ratio, low, high }) => [ratio, low ?? ratio, high ?? ratio]).map((x) => Math.abs(Math.log(x))));
  const end = ENDS.find((x) => Math.log(x) >= reach) ?? ENDS[ENDS.length - 1];
  /** @param {number} x */
  const at = (x) => Math.min(100, Math.max(0, 50 + (50 * Math.log(x)) / Math.log(end)));
  return { end, at };
};

/** @param {Axis} axis */
const ends = ({ end }) => [1 / end, 1, end].map((x) => el("span", {}, String(Number(x.toPrecision(2)))));

/** @type {(interval: Interval, kind: Claim, axis: Axis) => HTMLElement} */
const whisker = ({ ratio, low, high }, kind, { at }) => el(
  "div", { class: "kv-whisker", "data-claim": kind, "aria-hidden": "true" },
  el("i", {}),
  low === null || high === null ? null : el("u", { style: `left:${at(low)}%;right:${100 - at(high)}%` }),
  el("b", { style: `left:${at(ratio)}%` }));

/** @type {(summary: comparison.Summary) => Child[]} */
const mean = ({ mean: value, std }) => [
  format.seconds(value), std === null ? null : el("small", {}, ` ± ${format.seconds(std)}`),
];

/** @param {comparison.Summary} summary */
const spread = ({ n, median, p90, min, max }) => (n === 1 ? "one run" :
  `median ${format.seconds(median)}, p90 ${format.seconds(p90)}, ${format.seconds(min)} to ${format.seconds(max)}`);

/** @param {comparison.Figure} row */
const runs = ({ a, b }) => explain(
  el("button", { type: "button", class: "kv-term", "aria-label": `${a.n} runs in A, ${b.n} in B` }, `${format.count(a.n)} / ${format.count(b.n)}`),
  { title: "The runs", text: `A: ${spread(a)}. B: ${spread(b)}.` });

/** @type {(column: string, label: string, ...children: Child[]) => HTMLElement} */
const cell = (column, label, ...children) => el("td", { role: "cell", "data-column": column, "data-label": label }, ...children);

/** @type {(name: string, row: comparison.Figure, terms: Definitions, scale: Axis) => HTMLElement} */
const figure = (name, row, terms, scale) => {
  const [word, kind] = claim(row);
  const { speedup } = row;
  const [ratio, ...interval] = speedup.text;
  return el("tr", { role: "row", "data-metric": name },
    el("th", { role: "rowheader", scope: "row" }, term(terms[name])),
    ...SIDES.map((side) => cell(side, side.toUpperCase(), ...mean(row[side]))),
    cell("n", "n", runs(row)),
    cell("ratio", terms.ratio.name, el("strong", {}, ratio), interval.length ? el("small", {}, ` [${interval.join(", ")}]`) : null),
    cell("drawn", "", whisker(speedup, kind, scale), el("div", { class: "kv-ends", "aria-hidden": "true" }, ...ends(scale))),
    cell("claim", "", el("span", { class: "kv-claim", "data-claim": kind }, word),
      el("span", {}, row.claim)));
};

/** @param {number[]} list */
const counts = (list) => (list.length ? list.map(format.count).join(", ") : "no");
/** @param {comparison.Tokens} counted */
const tokens = ({ a, b }) => (String(a) === String(b) ? `${counts(a)} tokens` : `${counts(a)} tokens in A, ${counts(b)} in B`);

/** @type {(entry: comparison.Lane, terms: Definitions, scale: Axis) => HTMLElement} */
const lane = (entry, terms, scale) => el("tbody", { role: "rowgroup" },
  el("tr", { role: "row", class: "kv-lanerow" }, el("th", { role: "rowheader", scope: "rowgroup", colspan: 7 },
    el("bdi", {}, entry.name), el("small", {}, tokens(entry.tokens)),
    ...entry.warnings.map((warning) => el("p", { class: "kv-noise" }, warning)))),
  ...Object.entries(entry.metrics).filter(([name]) => terms[name]).map(([name, row]) => figure(name, row, terms, scale)));

/** @type {(column: string, ...children: Child[]) => HTMLElement} */
const heading = (column, ...children) => el("th", { role: "columnheader", scope: "col", "data-column": column }, ...children);

/** @type {(lanes: comparison.Lane[], terms: Definitions) => HTMLElement} */
const table = (lanes, terms) => {
  const scale = axis([{ ratio: 1.05, low: null, high: null }, ...lanes.flatMap((entry) => Object.values(entry.metrics).map(({ speedup }) => speedup))]);
  return el("table", { role: "table", class: "kv-figures", "aria-label": "Times of A and B, lane by lane" },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
      heading("metric", el("span", { class: "kv-hidden" }, "Figure")),
      ...SIDES.map((side) => heading(side, `${side.toUpperCase()}, `, term(terms.mean))),
      heading("n", term(terms.n)),
      heading("ratio", term(terms.ratio)),
      heading("drawn", ...ends(scale)),
      heading("claim", term(terms.claim)))),
    ...lanes.map((entry) => lane(entry, terms, scale)));
};

/** @param {comparison.Difference["a"]} value */
const written = (value) => (value === null ? "none" : value === true ? "yes" : value === false ? "no" : String(value));

/** @param {comparison.Difference[]} found */
const differences = (found) => el("section", { class: "kv-differences" },
  el("h3", {}, "What differs between the two"),
  found.length
    ? el("table", {},
      el("thead", {}, el("tr", {}, el("th", {}, el("span", { class: "kv-hidden" }, "Setting")), el("th", { scope: "col" }, "A"), el("th", { scope: "col" }, "B"))),
      el("tbody", {}, ...found.map(({ field, a, b }) => el("tr", {}, el("th", { scope: "row" }, field), el("td", {}, written(a)), el("td", {}, written(b))))))
    : el("p", {}, "Nothing that both files state: the same work, settings, model and machine."));

/** @type {(names: string[], file: string) => Child} */
const listed = (names, file) => (names.length ? el("p", {}, `Only in ${file}: `, el("bdi", {}, names.join(", ")), ".") : null);

/** @type {(found: comparison.ComparisonDocument, terms: Definitions) => Child[]} */
const whole = (found, terms) => [
  el("header", {},
    el("span", { class: "kv-likeness", "data-like": String(found.like_with_like) }, found.like_with_like ? "Same work" : "Not the same work"),
    el("h2", {}, found.headline)),
  found.lanes.length ? table(found.lanes, terms) : null,
  el("div", { class: "kv-besides" }, differences(found.differences),
    found.only_a.length + found.only_b.length + found.notes.length
      ? el("section", { class: "kv-remarks" }, el("h3", {}, "To be read with it"),
        listed(found.only_a, "A"), listed(found.only_b, "B"), ...found.notes.map((note) => el("p", {}, note)))
      : null),
];

/** @param {string[]} waiting the inputs that still want a file */
const empty = (waiting) => el("div", { class: "kv-nothing" },
  el("h2", {}, waiting.length === 1 ? `${waiting[0]} needs a file that kvdemo exported.` : "Drop two JSON files, and see whether they differ."),
  el("p", {}, "Each is the JSON export of a measurement or of a race, from this page or from the command line’s --json: "
    + "two machines, two versions, before and after a change."),
  el("ul", {},
    el("li", {}, el("b", {}, "Did both do the same work?"), " Model, prompt, token count, sampling and the lane’s settings must be the same for a difference to mean anything."),
    el("li", {}, el("b", {}, "Is the difference real?"), " Each lane’s times side by side, their ratio with a 95 % interval, and in words what the runs allow to claim. "
      + "That takes repeats: a race is one run, and shows no more than its ratio."),
    el("li", {}, el("b", {}, "What else differs?"), " GPU, driver, versions, number format, settings.")));

/**
 * What the tab draws: a comparison, the inputs that still want a file, or what is wrong with the files.
 * @typedef {{ comparison: comparison.ComparisonDocument | null, waiting: string[], error: string | null }} Drawn
 */

/** @type {DrawElement<Drawn, Definitions>} */
export const drawComparison = (element, props, watch, _, terms) => {
  const root = el("div", { class: "kv-comparison", "aria-live": "polite" });
  mount(element, root);
  for (const side of SIDES) {
    whenThere(`kv-file-${side}`, (input) => {
      input.setAttribute("role", "group");
      input.setAttribute("aria-label", `File ${side.toUpperCase()}`);
    });
  }
  const draw = () => {
    const { comparison, waiting, error } = props.value;
    root.replaceChildren(...present(error ? [el("p", { class: "kv-alert", role: "alert" }, error)]
      : comparison?.headline ? whole(comparison, terms) : [empty(waiting)])); // Gradio empties a value on its way to the next one
  };
  watch("value", draw);
  draw();
};

/** The sentence under a file's input.
 * @type {DrawElement<{ text: string, bad: boolean }, null>} */
export const drawFileNote = (element, props, watch) => {
  const note = el("p", { class: "kv-filenote", role: "status" });
  mount(element, note);
  const draw = () => {
    write(note, props.value.text);
    note.toggleAttribute("data-bad", props.value.bad);
  };
  watch("value", draw);
  draw();
};
