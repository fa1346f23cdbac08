// Scales, amounts and the terms of formulas.
import assert from "node:assert/strict";
import { test } from "node:test";
import { kept, shapeAt } from "../../kvdemo/web/frontend/inside/drawing/shapes.js";
import { amount, difference, evaluate, logScale, powerOfTen, shape } from "../../kvdemo/web/frontend/inside/drawing/scale.js";

test("a term is its coefficient times powers of batch and length", () => {
  assert.equal(evaluate([{ coefficient: 3, batch: 1, length: 2 }, { coefficient: 5, batch: 0, length: 0 }], 2, 10), 3 * 2 * 100 + 5);
});

test("a term with a cap counts no positions beyond it", () => {
  const terms = [{ coefficient: 2, batch: 1, length: 1, cap: 4 }];
  assert.deepEqual([3, 4, 5, 400].map((length) => evaluate(terms, 1, length)), [6, 8, 8, 8]);
});

test("a scale goes from one power of ten to another, with zero at its foot", () => {
  const scale = logScale(3e-7, 2e-3);
  assert.deepEqual([scale.low, scale.high], [-7, -2]);
  assert.equal(scale.at(0), 0);
  assert.equal(scale.at(1e-7), 0);
  assert.equal(scale.at(1e-2), 1);
  assert.equal(scale.at(5), 1);
  assert.ok(Math.abs(scale.at(10 ** -4.5) - 0.5) < 1e-9);
});

test("a wide scale has few ticks, and the largest has one", () => {
  const { ticks } = logScale(1e-12, 1e3);
  assert.ok(ticks.length <= 7);
  assert.deepEqual(ticks[0], { power: 3, at: 1 });
});

test("powers, differences and amounts are written as in text", () => {
  assert.deepEqual([-4, 0, 1, 12].map(powerOfTen), ["10⁻⁴", "1", "10", "10¹²"]);
  assert.equal(difference(1e-4), "10⁻⁴");
  assert.deepEqual([0, 2.14e-6, 0.031, 14].map(difference), ["0", "2.1\u00a0·\u00a010⁻⁶", "0.031", "14"]);
  assert.deepEqual([amount(1536, "bytes"), amount(3, "products"), amount(67108864, "FLOPs"), amount(null, "FLOPs"), amount(12, ""), amount(11677.6, "positions")],
    ["1.54 kB", "3 products", "67.1 MFLOPs", "–", "12", "11,678 positions"]);
});

test("an amount just below a prefix has no exponent", () => {
  assert.deepEqual([amount(999_600_000, "FLOPs"), amount(999_400_000, "FLOPs"), amount(1.234e21, "FLOPs")], ["1.00 GFLOPs", "999 MFLOPs", "1,234 EFLOPs"]);
});

test("a layer's shape at a step has that step's length", () => {
  assert.equal(shape(shapeAt([1, 3, 42, 64], 7)), "(1, 3, 7, 64)");
  assert.equal(shape(null), "–");
  const group = { layers: [0, 1], kind: "sliding", key_shape: [1, 2, 4, 8], value_shape: [1, 2, 4, 8], lengths: [3, 4], bytes: [96, 128] };
  assert.equal(kept(group, 0), "2 layers with a window: keys (1, 2, 3, 8), values alike, 96 B each");
  assert.match(kept({ ...group, kind: "state", key_shape: null }, 1), /^2 layers with a state .*: 128 B each$/);
});
