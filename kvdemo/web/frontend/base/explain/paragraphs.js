// A docstring as paragraphs of text: its line breaks undone, what stands in backticks as code, what in asterisks with stress.

/** @typedef {{ text: string, kind: "text" | "code" | "em" }} Piece */

/** @type {(piece: string) => Piece} */
const read = (piece) => {
  if (piece.startsWith("`")) return { text: piece.slice(1, -1), kind: "code" };
  return /^\*.+\*$/.test(piece) ? { text: piece.slice(1, -1), kind: "em" } : { text: piece, kind: "text" };
};

/**
 * Cuts a docstring into paragraphs, and each into pieces.
 * @param {string | null | undefined} text
 * @returns {Piece[][]}
 */
export const paragraphs = (text) => (text ?? "").trim().split(/\n\s*\n/).filter(Boolean)
  .map((paragraph) => paragraph.trim().replace(/\s+/g, " ").split(/(`[^`]+`|(?<!\w)\*\w[^*]*\w\*(?!\w))/).filter(Boolean).map(read));
