// Spares Gradio copies of what cannot change. With every message of a run it copies all that a dozen components of the
// form hold, value by value, and nearly all of these are numbers, words and nothing at all. The browser's own copying takes
// tens of microseconds for each, hundreds of times a message, where the decoding may need the same core.

const copy = window.structuredClone;
window.structuredClone = (value, options) => {
  const plain = Object(value) !== value && typeof value !== "symbol"; // that one cannot be copied, and must say so
  return plain ? value : copy(value, options);
};
