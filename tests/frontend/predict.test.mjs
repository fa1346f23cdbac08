// A guess is judged by what was measured: speeds by their ratio, drawn curves by their shapes, and nothing that was left alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { drawnAt, outcome, scaled } from "../../kvdemo/web/frontend/race/predict/guess.js";

const lane = (name, latency) => ({ name, latency, x: latency.map((_, i) => 10 + i) });
const rising = lane("Re-encode", [100, ...Array.from({ length: 24 }, (_, i) => 50 + (50 * i) / 23)]);
const flat = lane("Cache", [100, ...Array(24).fill(25)]);
const NONE = [null, null];

test("a guessed speed within a tenth is called close, and any other gets its factor and direction", () => {
  const said = (times) => outcome({ times, curves: NONE }, [rising, flat], 4)[0];
  assert.match(said(4.3), /it was 4.00×: close\.$/);
  assert.match(said(8), /is 8.00× as fast as Re-encode; it was 4.00×: 2.00× too much\.$/);
  assert.match(said(2), /2.00× too little\.$/);
});

test("a guess that was not made is not judged", () => {
  assert.deepEqual(outcome({ times: null, curves: NONE }, [rising, flat], 4), []);
  assert.deepEqual(scaled({ times: 2, curves: NONE }, [rising, flat]), []);
  assert.equal(outcome({ times: null, curves: [[10, 20], null] }, [rising, flat], 4).length, 1);
});

test("a curve is judged by the ratio of its end to its beginning", () => {
  for (const curve of [[20, 40], [40, 80]]) {
    const [said] = outcome({ times: null, curves: [curve, null] }, [rising, flat], null);
    assert.match(said, /^Re-encode: you drew its last tokens 2.00× as slow as its first ones; they were 1.88×: close\.$/);
  }
});

test("two curves are compared at their ends", () => {
  const said = outcome({ times: null, curves: [[20, 80], [20, 20]] }, [rising, flat], null);
  assert.equal(said.length, 3);
  assert.match(said[2], /^At the end you drew a token of Re-encode 4.00× as slow as one of Cache; it was 3.9\d×: close\.$/);
});

test("drawn lines are scaled by one common factor", () => {
  const [a, b] = scaled({ times: null, curves: [[20, 80], [20, 20]] }, [rising, flat]);
  assert.equal(a.x.length, 24);
  assert.ok(Math.abs(a.y.at(-1) / b.y.at(-1) - 4) < 1e-9 && Math.abs(a.y[0] / b.y[0] - 1) < 1e-9);
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
  assert.ok(Math.abs(sum(a.y) + sum(b.y) - sum(rising.latency.slice(1)) - sum(flat.latency.slice(1))) < 1e-6);
});

test("a lane of few tokens is not compared with a curve, and speeds that do not compare leave the guess open", () => {
  const short = lane("Short", [9, 1, 1]);
  assert.deepEqual(outcome({ times: 2, curves: [[1, 2], null] }, [short, flat], null), [
    "The speeds of these two lanes cannot be compared, so the guess stays open.",
    "The lanes wrote too few tokens to hold your curves against.",
  ]);
});

test("a curve is linear between its points", () => {
  assert.deepEqual([0, 0.25, 0.5, 1].map((at) => drawnAt([0, 100, 0], at)), [0, 50, 100, 0]);
});
