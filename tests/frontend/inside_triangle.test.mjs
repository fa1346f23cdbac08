// The triangle of query-key products: which rows a step computes, what is counted, and where a pixel lies.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pace } from "../../kvdemo/web/frontend/inside/decoding/pace.js";
import { cellAt, cellSize, firstToken, rowsOf, sentence, stepOf, totals, weightPixels } from "../../kvdemo/web/frontend/inside/decoding/triangle.js";

/** Steps behind a prompt, by the closed forms. */
const run = (prompt, count) => {
  const made = [];
  for (let i = 0; i < count; i += 1) {
    const length = prompt + i;
    const all = (length * (length + 1)) / 2;
    const now = i ? length : all;
    made.push({ length, positions: i ? 1 : prompt, positions_all: length, products: now, products_all: all, flops: null, flops_all: null,
      products_so_far: (made.at(-1)?.products_so_far ?? 0) + now, products_all_so_far: (made.at(-1)?.products_all_so_far ?? 0) + all });
  }
  return made;
};

test("the third step of a text of one token has 6 products without a cache and 3 with", () => {
  const steps = run(1, 4);
  assert.match(sentence(steps, 2), /^Step 3: 6 products without a cache, 3 with; so far 10 against 6\./);
});

test("the first step's share of the work is stated in positions, and in FLOPs if they are known", () => {
  const steps = run(5, 2);
  assert.match(firstToken(steps), /reads all 5 tokens of the text; the next step reads 1 token\./);
  const counted = steps.map((step, i) => ({ ...step, flops: i ? 1e6 : 5e6 }));
  assert.match(firstToken(counted), /reads all 5 tokens of the text, 5\.00 MFLOPs; the next step reads 1 token, 1\.00 MFLOPs\. So the first takes 5\.00× the work of the next\./);
  assert.equal(firstToken(run(1, 2)), "");
  assert.equal(firstToken(run(5, 1)), "");
  assert.match(firstToken(run(5, 1), true), /one new token a cache saves nothing: the only step reads all 5 tokens/);
});

test("the first step reads the whole text, a later one a token", () => {
  const steps = run(5, 3);
  assert.deepEqual(rowsOf(steps[0]), { from: 0, to: 5 });
  assert.deepEqual(rowsOf(steps[2]), { from: 6, to: 7 });
  assert.match(sentence(steps, 0), /the first step reads all 5 tokens/);
  assert.match(sentence(steps, 1), /reads 1 token\./);
});

test("a position is found in the step that computed it", () => {
  const steps = run(5, 3);
  assert.deepEqual([0, 4, 5, 6].map((position) => stepOf(steps, position)), [0, 0, 1, 2]);
});

test("sums end at the chosen step, and are unknown if a step is", () => {
  const steps = run(2, 3);
  assert.equal(totals(steps, 2, "products"), steps[2].products_so_far);
  assert.equal(totals(steps, 1, "positions_all"), 5);
  assert.equal(totals(steps, 1, "flops"), null);
});

test("cells are whole pixels if they fit, and never overflow", () => {
  assert.equal(cellSize(4, 520), 40);
  assert.equal(cellSize(100, 520), 5);
  for (const length of [1, 7, 256, 1024]) assert.ok(cellSize(length, 333) * length <= 333);
});

test("a pixel above the diagonal belongs to no step", () => {
  assert.deepEqual(cellAt(5, 25, 10, 4), { query: 2, key: 0 });
  assert.equal(cellAt(25, 5, 10, 4), null);
  assert.equal(cellAt(5, 45, 10, 4), null);
});

test("a larger weight is a stronger pixel, and nothing is drawn above the diagonal", () => {
  const pixels = weightPixels([[1], [0.25, 0.75]], [1, 2, 3]);
  const alpha = (query, key) => pixels[4 * (2 * query + key) + 3];
  assert.ok(alpha(1, 1) > alpha(1, 0) && alpha(1, 0) > 0);
  assert.equal(alpha(0, 0), 255);
  assert.equal(alpha(0, 1), 0);
  assert.deepEqual([...pixels.slice(0, 3)], [1, 2, 3]);
});

test("256 steps play at 30 a second, longer runs at one a frame, and short runs slower", () => {
  assert.ok(pace(256) <= 1000 / 30);
  assert.equal(pace(1024), 1000 / 60);
  assert.ok(pace(4) > 400);
});
