// What a strategy declares of its steps (kvdemo/core/picture.py), made into rows of cells.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { declared, drawable } from "../../kvdemo/web/frontend/race/picture/declared.js";

const PYTHON = readFileSync(new URL("../../kvdemo/core/picture.py", import.meta.url), "utf8");
/** The values that Python lets a strategy declare. */
const allowed = (name) => [...PYTHON.match(new RegExp(`^${name} = Literal\\[(.*)\\]`, "m"))[1].matchAll(/"(\w+)"/g)].map(([, value]) => value);

const option = (value, more = {}) => ({ default: value, label: "", about: "", low: 0, high: 1e6, whole: true, choices: [], ...more });
const strategy = (picture, options = {}, more = {}) => ({
  id: "mine", name: "Mine", summary: "", options, ...more,
  picture: { draft: "", window: "", sinks: "", packing: "", bits: {}, in_full: {}, keeps: "all", ...picture },
});
const OPTIONS = { most: option(3), kept: option(8), first: option(2), kind: option("fp8", { whole: false }), many: option(4) };
const NAMED = { draft: "most", window: "kept", sinks: "first", packing: "kind", bits: { fp8: 8, int4: 4 }, in_full: { int4: 127 } };
const drawn = (picture, values = {}, more = {}, dtype = "float32") => declared(strategy({ ...NAMED, ...picture }, OPTIONS, more), values, dtype);
/** How many cells of a kind a row has behind the prompt. */
const count = (row, kind) => row.rest.filter((piece) => piece.kind === kind).reduce((sum, { cells = NaN }) => sum + cells, 0);
const texts = (row) => [...row.prompt, ...row.rest].map(({ text }) => text).filter(Boolean);

test("every value that a strategy may declare has a drawing", () => {
  assert.deepEqual(drawable.computes.sort(), allowed("Computes").sort());
  assert.deepEqual(drawable.keeps.sort(), allowed("Keeps").sort());
  for (const keeps of allowed("Keeps")) assert.ok(drawn({ computes: "new", keeps }).rows.length, keeps);
  for (const computes of allowed("Computes")) assert.ok(drawn({ computes }).said, computes);
});

test("a strategy that declares nothing, or what this page does not know, has no picture", () => {
  assert.equal(declared({ id: "x", name: "X", summary: "", options: {} }, {}), null);
  assert.equal(drawn({ computes: "sorcery" }), null);
});

test("without a cache each step computes all, with one it reads all but the newest", () => {
  const again = drawn({ computes: "all", keeps: "nothing" });
  assert.deepEqual(again.rows.map((row) => [row.computes, count(row, "computed"), count(row, "read")]),
    [["P", 0, 0], ["P + 1", 1, 0], ["P + 2", 2, 0], ["P + 3", 3, 0], ["P + 4", 4, 0]]);
  const cached = drawn({ computes: "new" });
  assert.deepEqual(cached.rows.map((row) => [row.computes, count(row, "computed"), count(row, "read")]),
    [["P", 0, 0], ["1", 1, 0], ["1", 1, 1], ["1", 1, 2], ["1", 1, 3]]);
  assert.deepEqual([again.rows[1].prompt[0].kind, cached.rows[1].prompt[0].kind], ["computed", "read"]);
});

test("a smaller window keeps fewer cells", () => {
  for (const [kept, latest] of [["4", 3], ["2", 1], ["1", 0]]) {
    const row = drawn({ computes: "new", keeps: "window" }, { kept }).rows.at(-1);
    assert.equal(count(row, "read"), latest);
    assert.ok(count(row, "dropped"));
  }
  const wide = drawn({ computes: "new", keeps: "window" }, { kept: "256" });
  assert.deepEqual(texts(wide.rows.at(-1)), ["first 2", "latest 255"]);
  assert.match(wide.said, /2 \+ 256 = 258 positions/);
  assert.doesNotMatch(drawn({ computes: "new", keeps: "window" }, { first: "0" }).said, /first/);
});

test("fewer bits make lower cells, and what waits in full is as high as ever", () => {
  const size = (values, dtype) => drawn({ computes: "new", keeps: "packed" }, values, {}, dtype).rows[4].prompt[0].size;
  assert.deepEqual([size({}, "float32"), size({}, "bfloat16"), size({ kind: "int4" }, "float32")], [1 / 4, 1 / 2, 1 / 8]);
  const late = drawn({ computes: "new", keeps: "packed" }, { kind: "int4" }).rows[4].rest[0];
  assert.deepEqual([late.kind, late.size], ["read", undefined]);
});

test("a longer draft is more cells, and too long a one is a single cell with its number", () => {
  assert.deepEqual(drawn({ computes: "drafted" }, { most: "5" }).rows.map((row) => [row.computes, count(row, "drafted")]),
    [["P", 0], ["1 + 5", 5], ["1 + 5", 5], ["1 + 5", 5]]);
  assert.deepEqual(texts(drawn({ computes: "drafted" }, { most: "64" }).rows[1]), ["64 drafted"]);
});

test("rows are drawn side by side, those of a search from the second step on", () => {
  const lines = (more) => drawn({ computes: "new" }, { many: "3" }, { rows_from: "many", ...more }).rows.map((row) => row.lines);
  assert.deepEqual(lines({}), [3, 3, 3, 3, 3]);
  assert.deepEqual(lines({ searches: true }), [1, 3, 3, 3, 3]);
});

test("room is there from the start and filled place by place", () => {
  assert.deepEqual(drawn({ computes: "new", keeps: "reserved" }).rows.map((row) => count(row, "room")), [4, 3, 2, 1, 0]);
});

test("what a run before has left is read in the first step", () => {
  assert.deepEqual(drawn({ computes: "new" }, {}, { keeps_prefix: true }).rows[0].prompt.map(({ kind }) => kind), ["read", "computed"]);
});

test("a setting that is half typed is drawn as its default", () => {
  for (const most of ["", "-", "2.5", "99999999"]) assert.equal(count(drawn({ computes: "drafted" }, { most }).rows[1], "drafted"), 3);
});
