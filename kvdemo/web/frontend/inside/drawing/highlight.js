// Python in a few colours: comments, strings, keywords, names that are defined, numbers. Cuts text; makes no markup.
import { el } from "../../base/dom.js";

const KEYWORDS = "False None True and as assert async await break case class continue def del elif else except finally for from global if import in is lambda "
  + "match not or pass raise return try while with yield self";
const TOKEN = new RegExp([
  String.raw`(?<comment>#[^\n]*)`,
  String.raw`(?<string>[rbfu]{0,2}(?:"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))`,
  String.raw`(?<defined>(?<=\b(?:def|class)\s)\w+)`,
  String.raw`(?<keyword>\b(?:${KEYWORDS.split(" ").join("|")})\b)`,
  String.raw`(?<number>\b\d[\d_.]*(?:e-?\d+)?\b)`,
].join("|"), "gm");

/** A kind, null for plain text, and the text. @typedef {[string | null, string]} Part */

/**
 * The parts of a source in order.
 * @param {string} source
 */
export const parts = (source) => {
  /** @type {Part[]} */
  const found = [];
  let at = 0;
  for (const match of source.matchAll(TOKEN)) {
    if (match.index > at) found.push([null, source.slice(at, match.index)]);
    found.push([Object.entries(match.groups ?? {}).find(([, text]) => text !== undefined)?.[0] ?? null, match[0]]);
    at = match.index + match[0].length;
  }
  if (at < source.length) found.push([null, source.slice(at)]);
  return found;
};

/** The same by line: a text over several lines is cut at their ends.
 * @param {string} source */
export const lines = (source) => {
  /** @type {Part[]} */
  let line = [];
  const made = [line];
  for (const [kind, text] of parts(source)) {
    for (const [i, piece] of text.split("\n").entries()) {
      if (i) {
        line = [];
        made.push(line);
      }
      if (piece) line.push([kind, piece]);
    }
  }
  return made;
};

/** A line as an element, which knows how far the line is indented; `more` stands behind it.
 * @type {(line: Part[], ...more: Child[]) => HTMLElement} */
export const codeLine = (line, ...more) => {
  const text = line.map(([, part]) => part).join("");
  const indent = text.length - text.trimStart().length;
  return el("code", { style: `--indent: ${indent}ch` }, ...line.map(([kind, part]) => (kind ? el("span", { "data-code": kind }, part) : part)), ...more);
};
