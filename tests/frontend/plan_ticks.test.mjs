// The ticks of a plan's chart.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decades, powers, roundBytes } from "../../kvdemo/web/frontend/plan/ticks.js";

test("ticks cover the range in powers of ten", () => {
  assert.deepEqual(decades(128, 280_000), [100, 1000, 10_000, 100_000, 1_000_000]);
  assert.deepEqual([1, 1e3, 1e5, 1e6, 1e9].map(powers), ["1", "1k", "100k", "1M", "1G"]);
});

test("24 GB is not written as 24.0 GB", () => {
  assert.deepEqual([24e9, 24.5e9, 524288].map(roundBytes), ["24 GB", "24.5 GB", "524 kB"]);
});
