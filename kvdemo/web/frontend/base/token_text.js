// How a token is written so that it can be seen: white space, control characters, and half a character.
import { el } from "./dom.js";

// Direction overrides are drawn and not obeyed: one token must not turn the rest of the text around.
const BIDI = /[\u202a-\u202e\u2066-\u2069]/;
const HIDDEN = /[\u0000-\u001f\u007f\u200b\ufeff\u202a-\u202e\u2066-\u2069]/;

/** @param {string} char */
const symbol = (char) => {
  if (char === "\n") return "↵";
  if (char === "\t") return "→";
  const code = char.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return BIDI.test(char) ? "⇄" : "▫";
};

/** @param {string} text */
const mark = (text) => el("span", { class: "kv-mark" }, text);

/** The nodes that show a token's text inside a lane, where a line break also breaks the line.
 * @type {(text: string) => (Node | string)[]} */
export const spell = (text) => {
  if (text === "") return [mark("◦")];
  if (/^ +$/.test(text)) return [mark("·".repeat(text.length))];
  if (!HIDDEN.test(text)) return [text];
  const nodes = [];
  for (const part of text.split(/([\u0000-\u001f\u007f\u200b\ufeff\u202a-\u202e\u2066-\u2069])/)) {
    if (part === "") continue;
    if (!HIDDEN.test(part)) nodes.push(part);
    else nodes.push(mark(symbol(part)), ...(part === "\n" ? ["\n"] : []));
  }
  return nodes;
};

/** The same on one line, quoted, as a name for the token.
 * @param {string} text */
export const quote = (text) => {
  if (text === "") return "part of a character";
  return `“${text.replace(new RegExp(HIDDEN, "g"), symbol)}”`;
};
