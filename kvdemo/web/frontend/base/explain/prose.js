// Texts in which words explain themselves: the first of each word that the glossary has (kvdemo/web/words/glossary.py).
import { el } from "../dom.js";
import { definitions } from "./terms.js";
import { explain } from "./tooltip.js";
import { wordParts } from "./words.js";

const { words } = window.kvdemo;

/** A word that shows its definition on hover, focus and touch, in the middle of a text.
 * @type {(text: string, definition: Definition) => HTMLElement} */
const word = (text, { long, text: about, also }) =>
  explain(el("dfn", { class: "kv-word", tabindex: 0 }, text), { title: long, text: about, also });

/** @typedef {import("./paragraphs.js").Piece} Piece */

/**
 * A text as nodes. `known` collects the words that were explained, for texts that stand together.
 * @param {string} text
 * @param {Set<string>} [known]
 * @returns {(Node | string)[]}
 */
export const prose = (text, known = new Set()) =>
  wordParts(text, words, known).map(({ text: part, key }) => (key ? word(part, definitions[key]) : part));

/**
 * A paragraph of a docstring as nodes: what is code or stressed there is so here.
 * @type {(pieces: Piece[], known: Set<string>) => (Node | string)[]} */
export const docProse = (pieces, known) =>
  pieces.flatMap(({ text, kind }) => (kind === "text" ? prose(text, known) : [el(kind, {}, text)]));
