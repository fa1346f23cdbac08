// The ticks of a plan's chart.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decades, powers } from "../../kvdemo/web/frontend/plan/ticks.js";

test("ticks cover the range in powers of ten", () => {
  assert.deepEqual(decades(128, 280_000), [100, 1000, 10_000, 100_000, 1_000_000]);
  assert.deepEqual([1, 1e3, 1e5, 1e6, 1e9].map(powers), ["1", "1k", "100k", "1M", "1G"]);
});
