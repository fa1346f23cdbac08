// What a search came to, in a sentence or two and in a table of its last texts.
import { el } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { definitions, term } from "../../base/explain/terms.js";
import { spell } from "../../base/token_text.js";
import { beamPath } from "./tree.js";

/**
 * A search, and what it is compared with: the lane that decodes greedily, and what that lane's text has as its score.
 * @typedef {object} Searched
 * @property {import("./tree.js").BeamTree} tree
 * @property {import("../lanes/lane.js").Lane} lane
 * @property {import("../lanes/lane.js").Lane | null} greedy
 * @property {number | null} greedyScore over as many tokens as the tree is long; null where it has not so many
 */
/** @typedef {{ text: string, token?: number, id?: number }} Part a node, or a token of a lane */

/** Of the last texts the table has the best; so many shared tokens stand before what is a text's own. */
const LISTED = 8;
const BEFORE = 7;

/** @param {number} x */
export const score = (x) => (x < 0 ? "−" : "") + Math.abs(x).toFixed(2);
/** @param {number} n */
const raised = (n) => [...String(n)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]).join("");
/** How many times likelier, from a difference of log-probabilities.
 * @param {number} difference */
const times = (difference) => {
  const digits = Math.floor(difference / Math.LN10);
  return digits < 3 ? format.rate(Math.exp(difference)) : `${(10 ** (difference / Math.LN10 - digits)).toFixed(1)}·10${raised(digits)}`;
};
/** @type {(best: number, other: number) => string} */
const against = (best, other) => (other > best ? `${times(other - best)} times likelier` : `${times(best - other)} times less likely`);
/** @param {number} n */
const tokens = (n) => `${format.count(n)} token${n === 1 ? "" : "s"}`;

/** On one line: a line break is its symbol and no more.
 * @param {string} text */
export const spelled = (text) => spell(text).filter((part) => part !== "\n");
/** @param {Part[]} parts */
export const joined = (parts) => parts.map(({ text }) => text).join("");

// --- sentences

/** @param {Omit<Searched, "lane">} search */
const ofGreedy = ({ tree, greedy, greedyScore }) => {
  if (tree.greedyRank === 0) return "It is the greedy text too.";
  if (!tree.greedyEnd) return "";
  const fate = tree.greedyRank === null ? `The greedy text was dropped at token ${format.count(tree.greedyEnd.level + 2)}` : `The greedy text is number ${tree.greedyRank + 1}`;
  if (!greedy) return `${fate}.`;
  if (greedyScore === null) return `${fate}; ${greedy.name} wrote ${tokens(greedy.count)}, and sums over unequal lengths do not compare.`;
  return `${fate}; as ${greedy.name} wrote it, it has ${score(greedyScore)} and is ${against(tree.finals[0].score, greedyScore)}.`;
};

/** @param {Searched} search */
export const finding = ({ tree, lane, greedy, greedyScore }) => {
  const [best, second] = tree.finals;
  const next = second ? `; the second has ${score(second.score)} and is ${against(best.score, second.score)}` : "";
  if (tree.drawn) {
    return `${tree.width} texts were drawn side by side. First stands the one whose tokens are likeliest on average, with a score of ${score(best.score)} after ${tokens(tree.length)}; a text that had ended before is not in the table.`;
  }
  const said = [`Each step kept ${tree.width} texts. After ${tokens(tree.length)} the best has a score of ${score(best.score)}${next}.`, ofGreedy({ tree, greedy, greedyScore })];
  if (lane.count < tree.length) {
    said.push(lane.reason === "eos" ? `The text ends with its token ${format.count(lane.count)}, though the search had looked further.`
      : `The search broke off: only the first ${tokens(lane.count)} had become certain.`);
  }
  return said.join(" ");
};

// --- the table

/** How many tokens a text shares with the best.
 * @type {(own: Part[], best: BeamNode[]) => number} */
const shared = (own, best) => {
  const at = own.findIndex(({ token, id }, i) => (token ?? id) !== best[i].token);
  return at < 0 ? own.length : at;
};

/** The last tokens that a text shares with another, then its own.
 * @type {(own: Part[], from: number) => Node[]} */
const ending = (own, from) => {
  const before = own.slice(Math.max(0, from - BEFORE), from);
  return [el("span", {}, from > BEFORE ? "… " : "", ...(before.length ? spelled(joined(before)) : [])), el("b", {}, ...(from < own.length ? spelled(joined(own.slice(from))) : []))];
};

/** @param {Child} content */
const cell = (content) => el("td", { role: "cell" }, content);
/** @type {(kind: string, head: Child[], value: number, best: number, ...text: Child[]) => HTMLElement} */
const row = (kind, head, value, best, ...text) => el("tr", { role: "row", "data-edge": kind },
  el("th", { role: "rowheader", scope: "row" }, ...head), cell(score(value)), cell(value === best ? format.none : `${times(best - value)}×`),
  cell(el("div", { dir: "auto" }, ...text)));

/** The best text is shown from where the last texts part, each other one from where it parts from the best.
 * @type {(tree: import("./tree.js").BeamTree, node: BeamNode, rank: number) => HTMLElement} */
const ranked = (tree, node, rank) => {
  const own = beamPath(node);
  const from = node === tree.finals[0] ? Math.min(tree.shared, tree.length - 1) : shared(own, tree.best);
  const head = [el("span", {}, String(rank + 1)), node.greedy ? el("small", {}, "greedy") : null];
  return row(rank ? "kept" : "best", head, node.score, tree.finals[0].score, ...ending(own, from));
};

/** @param {Searched} search */
export const table = ({ tree, greedy, greedyScore }) => {
  const best = tree.finals[0].score;
  const rows = tree.finals.slice(0, LISTED).map((node, rank) => ranked(tree, node, rank));
  const others = tree.finals.slice(LISTED);
  const worst = others.at(-1);
  if (worst) rows.push(row("kept", [el("span", {}, "…")], worst.score, best, el("span", {}, `${others.length} more, down to this`)));
  if (greedy && greedyScore !== null && tree.greedyRank === null) {
    const own = greedy.tokens.slice(0, tree.length);
    rows.push(row("greedy", [el("small", {}, greedy.name)], greedyScore, best, ...ending(own, shared(own, tree.best))));
  }
  const heads = ["Rank", term(definitions.score), term(definitions.likelier), "Text"].map((head) => el("th", { role: "columnheader", scope: "col" }, head));
  // Roles are written out, since a phone's layout takes them away.
  return el("table", { role: "table", class: "kv-beamtable" },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...heads)), el("tbody", { role: "rowgroup" }, ...rows));
};
