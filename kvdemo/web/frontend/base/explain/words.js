// Where a text holds words of the glossary. Pure text, so that it is tested without a page.

/** @typedef {{ text: string, key?: string }} Part */
/** @typedef {{ keys: Map<string, string>, pattern: RegExp }} Index */

/** @param {string} text */
const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** Made once for each glossary. @type {WeakMap<object, Index>} */
const made = new WeakMap();

/** Quotations are matched first and left alone: what stands in them is a model's text, or code.
 * @type {(words: Record<string, string>) => Index} */
const index = (words) => {
  const found = made.get(words);
  if (found) return found;
  const spellings = Object.keys(words).sort((a, b) => b.length - a.length).map(escaped).join("|");
  const fresh = {
    keys: new Map(Object.entries(words).map(([spelling, key]) => [spelling.toLowerCase(), key])),
    pattern: new RegExp(`"(?:[^"\\\\]|\\\\.)*"|\`[^\`]*\`|(?<![\\w-])(?:${spellings})(?![\\w-])`, "giu"),
  };
  made.set(words, fresh);
  return fresh;
};

/**
 * Cuts a text into parts; one with a `key` is a word of the glossary that `known` did not have, which now has it.
 * @param {string} text
 * @param {Record<string, string>} words the key of each spelling
 * @param {Set<string>} known
 * @returns {Part[]}
 */
export const wordParts = (text, words, known) => {
  const { keys, pattern } = index(words);
  /** @type {Part[]} */
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    const key = keys.get(match[0].toLowerCase());
    if (!key || known.has(key)) continue;
    known.add(key);
    if (match.index > from) parts.push({ text: text.slice(from, match.index) });
    parts.push({ text: match[0], key });
    from = match.index + match[0].length;
  }
  if (from < text.length) parts.push({ text: text.slice(from) });
  return parts;
};
