// Where a draw fell: the chosen token's part of the last distribution, with the likelier candidates before it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { partsOf } from "../../kvdemo/web/frontend/race/token/candidates.js";

const candidate = (...probabilities) => ({ token: 1, text: "a", probabilities, cut: probabilities.indexOf(null) });
/** The lengths of the parts, the chosen one's as a string. */
const lengths = (found) => partsOf(found).map(({ length, chosen }) => (chosen ? length.toFixed(2) : Number(length.toFixed(2))));

test("likelier candidates come before the chosen one, and the remaining probability after it", () => {
  const likeliest = [candidate(0.3, 0.5), candidate(0.4, 0.3), candidate(0.2, 0.2), candidate(0.1, null)];
  assert.deepEqual(lengths({ likeliest, chosen: 1, drawn: [0.5, 0.8] }), [0.5, "0.30", 0.2]);
  assert.deepEqual(lengths({ likeliest, chosen: 2, drawn: [0.8, 1] }), [0.5, 0.3, "0.20"]);
  assert.deepEqual(lengths({ likeliest, chosen: 0, drawn: [0, 0.5] }), ["0.50", 0.5]);
});

test("unlisted tokens between the candidates are one part", () => {
  const likeliest = [candidate(0.5, 0.3), candidate(0.1, 0.1)];
  assert.deepEqual(lengths({ likeliest, chosen: 1, drawn: [0.6, 0.7] }), [0.6, "0.10", 0.3]);
});

test("a greedy choice has no draw", () => {
  assert.deepEqual(partsOf({ likeliest: [candidate(0.5)], chosen: 0, drawn: null }), []);
});
