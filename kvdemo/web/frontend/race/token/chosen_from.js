// What a token was chosen from: the likeliest candidates, a row each, and what each rule of the lane made of them, a
// column each; how many tokens that left, and where the draw fell.
import { el, present } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { definitions, term } from "../../base/explain/terms.js";
import { quote } from "../../base/token_text.js";
import { partsOf } from "./candidates.js";

/** @typedef {race.Candidates} Candidates */
/** @typedef {race.Candidate} Candidate */

/** The probability of a candidate at a stage; where it was cut, that it was.
 * @type {(candidate: Candidate, place: number) => HTMLElement} */
const cell = ({ probabilities, cut }, place) => {
  const probability = probabilities[place];
  if (probability === null) return el("td", { "data-cut": place === cut }, place === cut ? "cut" : "");
  return el("td", { style: `--p: ${(100 * probability).toFixed(2)}%` }, format.percent(probability));
};

/** @type {(candidate: Candidate, chosen: boolean, stages: race.Stage[]) => HTMLElement} */
const row = (candidate, chosen, stages) => {
  const { cut } = candidate;
  const said = [chosen ? "chosen" : "", cut === null ? "" : `cut by ${stages[cut].name}`].filter(Boolean).join(", ");
  const named = el("th", { scope: "row", title: quote(candidate.text) },
    el(cut === null ? "span" : "s", {}, el("bdi", {}, quote(candidate.text))), said ? el("span", { class: "kv-hidden" }, ` ${said}`) : null);
  return el("tr", { "data-chosen": chosen, "data-gone": cut !== null }, named, ...stages.map((_, place) => cell(candidate, place)));
};

/** @type {(label: HTMLElement, values: string[]) => HTMLElement} */
const sum = (label, values) => el("tr", {}, el("th", { scope: "row" }, label), ...values.map((value) => el("td", {}, value)));

/** @param {Candidates} found */
const table = ({ stages, likeliest, chosen }) => el("div", { class: "kv-stages", tabindex: "0", role: "group", "aria-label": "Candidates" },
  el("table", { style: `--stages: ${stages.length}` },
    el("caption", { class: "kv-hidden" }, "The likeliest candidates for this token: the probability of each, rule by rule"),
    el("thead", {}, el("tr", {}, el("td"), ...stages.map(({ name }) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...likeliest.map((candidate, place) => row(candidate, place === chosen, stages))),
    el("tfoot", {},
      sum(term(definitions.survivors), stages.map(({ survivors }) => format.count(survivors))),
      sum(term(definitions.entropy, "Entropy, bits"), stages.map(({ entropy }) => entropy.toFixed(2))))));

/** How it was chosen, in a sentence.
 * @param {Candidates} found */
export const chosenHow = ({ stages, likeliest, chosen, rank, drawn }) => {
  const { survivors } = stages[stages.length - 1];
  const ruled = stages.length > 1;
  if (!drawn) return `Nothing was drawn: the likeliest token${ruled ? " after all rules" : ""} is taken.`;
  if (survivors === 1) return "One token was left: nothing else could be drawn.";
  const placed = rank === 1 ? "the likeliest" : `number ${format.count(rank)}`;
  return `Drawn with a probability of ${format.percent(likeliest[chosen].probabilities.at(-1))}: ${placed} of ${format.count(survivors)} that were left.`;
};

/** The last distribution as a bar, the likeliest first.
 * @param {Candidates} found */
const bar = (found) => (found.drawn ? el("div", { class: "kv-fell", role: "img",
  "aria-label": `Its part of the last distribution, the likeliest first: from ${found.drawn[0].toFixed(2)} to ${found.drawn[1].toFixed(2)}` },
...partsOf(found).map(({ length, chosen }) => el("i", { "data-chosen": chosen, style: `flex-grow: ${1000 * length}` }))) : null);

/** @param {Candidates} found */
export const chosenFrom = (found) => present([table(found), el("p", {}, chosenHow(found)), bar(found)]);
