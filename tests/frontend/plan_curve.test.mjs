// The curve of a plan's chart: straight with full attention, bent where windows are full, and never past what is known.
import assert from "node:assert/strict";
import { test } from "node:test";
import { curve, decades, FIRST, powers } from "../../kvdemo/web/frontend/plan/curve.js";

const plan = (bytes, { before, after = before, constant = 0 }, more = {}) => ({
  cache: {
    constant_bytes: constant, bytes_per_token: before, bytes_per_token_past_windows: after, outgrows_weights_at: null,
    at: [1024, 4096, 32768].map((positions) => ({ positions, bytes: bytes(positions) })),
    at_context: { positions: 2048, bytes: bytes(2048) }, ...more,
  },
  weights: { bytes: 5000 },
  fit: { largest_context: null, free_bytes: 0 },
});

test("full attention grows by one amount a token from the first to the last context", () => {
  const points = curve(plan((n) => 10 * n, { before: 10 }), 100_000);
  assert.deepEqual([points[0], points.at(-1)], [[FIRST, 10 * FIRST], [100_000, 1_000_000]]);
  assert.ok(points.every(([n, bytes]) => bytes === 10 * n));
});

test("a window bends the curve exactly where it is full", () => {
  const window = 4000;
  const bytes = (n) => 6 * Math.min(n, window) + 4 * n;
  const points = curve(plan(bytes, { before: 10, after: 4 }), 100_000);
  assert.ok(points.some(([n]) => n === window));
  assert.ok(points.every(([n, held]) => Math.abs(held - bytes(n)) < 1e-6));
});

test("a cache that stays constant is level", () => {
  const points = curve(plan(() => 700, { before: 0, constant: 700 }), 100_000);
  assert.ok(points.every(([, bytes]) => bytes === 700));
});

test("windows of several sizes are drawn through what was worked out and nothing else", () => {
  const bytes = (n) => 3 * Math.min(n, 1500) + 3 * Math.min(n, 9000) + 4 * n;
  const points = curve(plan(bytes, { before: 10, after: 4 }), 20_000);
  assert.deepEqual(points.map(([n]) => n), [1024, 2048, 4096]);
  assert.ok(points.every(([n, held]) => held === bytes(n)));
});

test("ticks cover the range in powers of ten", () => {
  assert.deepEqual(decades(128, 280_000), [100, 1000, 10_000, 100_000, 1_000_000]);
  assert.deepEqual([1, 1e3, 1e5, 1e6, 1e9].map(powers), ["1", "1k", "100k", "1M", "1G"]);
});
