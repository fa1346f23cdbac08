// Python in a few colours: comments, strings, keywords, names that are defined, numbers. Cuts text; makes no markup.
import { el } from "../base/dom.js";

const KEYWORDS = "False None True and as assert async await break case class continue def del elif else except finally for from global if import in is lambda "
  + "match not or pass raise return try while with yield self";
const TOKEN = new RegExp([
  String.raw`(?<comment>#[^\n]*)`,
  String.raw`(?<string>[rbfu]{0,2}(?:"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))`,
  String.raw`(?<defined>(?<=\b(?:def|class)\s)\w+)`,
  String.raw`(?<keyword>\b(?:${KEYWORDS.split(" ").join("|")})\b)`,
  String.raw`(?<number>\b\d[\d_.]*(?:e-?\d+)?\b)`,
].join("|"), "gm");

/**
 * The parts of a source in order: a kind, null for plain text, and the text.
 * @param {string} source
 * @returns {[string | null, string][]}
 */
export const parts = (source) => {
  /** @type {[string | null, string][]} */
  const found = [];
  let at = 0;
  for (const match of source.matchAll(TOKEN)) {
    if (match.index > at) found.push([null, source.slice(at, match.index)]);
    found.push([Object.keys(match.groups).find((kind) => match.groups[kind] !== undefined), match[0]]);
    at = match.index + match[0].length;
  }
  if (at < source.length) found.push([null, source.slice(at)]);
  return found;
};

/** The same by line: a text over several lines is cut at their ends. */
export const lines = (source) => {
  const made = [[]];
  for (const [kind, text] of parts(source)) {
    for (const [i, piece] of text.split("\n").entries()) {
      if (i) made.push([]);
      if (piece) made.at(-1).push([kind, piece]);
    }
  }
  return made;
};

/** A line as nodes. */
export const spans = (line) => line.map(([kind, text]) => (kind ? el("span", { "data-code": kind }, text) : text));
