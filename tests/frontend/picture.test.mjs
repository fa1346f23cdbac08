// What a strategy declares of its steps (kvdemo/core/picture.py), and what steps ran, made into rows of cells.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { declared, drawable } from "../../kvdemo/web/frontend/race/picture/declared_steps.js";
import { capacity, geometryOf, partsOf, rowAt } from "../../kvdemo/web/frontend/race/picture/geometry.js";
import { fold, lookOf, rangesOf, sums } from "../../kvdemo/web/frontend/race/picture/ranges.js";
import { Race } from "../../kvdemo/web/frontend/race/wire.js";

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
/** How many cells of a kind a row has after the prompt. */
const count = (row, kind) => row.rest.filter((piece) => piece.kind === kind).reduce((sum, { cells = NaN }) => sum + cells, 0);
const texts = (row) => [...row.prompt, ...row.rest].map(({ text }) => text).filter(Boolean);

test("every value that a strategy may declare can be drawn", () => {
  assert.deepEqual(drawable.computes.sort(), allowed("Computes").sort());
  assert.deepEqual(drawable.keeps.sort(), allowed("Keeps").sort());
  for (const keeps of allowed("Keeps")) assert.ok(drawn({ computes: "new", keeps }).rows.length, keeps);
  for (const computes of allowed("Computes")) assert.ok(drawn({ computes }).said, computes);
});

test("a strategy that declares nothing, or an unknown value, has no picture", () => {
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

test("no formula is cut at the end of a line", () => {
  const several = { rows_from: "many" };
  const made = [drawn({ computes: "all", keeps: "nothing" }), drawn({ computes: "new" }), drawn({ computes: "new", keeps: "window" }), drawn({ computes: "new" }, {}, several),
    drawn({ computes: "new" }, {}, { ...several, prefills_once: true }), drawn({ computes: "new" }, {}, { ...several, searches: true })].map(({ sum }) => sum);
  assert.equal(new Set(made).size, made.length);
  for (const sum of made) assert.match(sum, / compute [^ ]+ positions/);
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

test("fewer bits make lower cells, and unquantised positions keep their height", () => {
  const size = (values, dtype) => drawn({ computes: "new", keeps: "packed" }, values, {}, dtype).rows[4].prompt[0].size;
  assert.deepEqual([size({}, "float32"), size({}, "bfloat16"), size({ kind: "int4" }, "float32")], [1 / 4, 1 / 2, 1 / 8]);
  const late = drawn({ computes: "new", keeps: "packed" }, { kind: "int4" }).rows[4].rest[0];
  assert.deepEqual([late.kind, late.size], ["read", undefined]);
});

test("a longer draft has more cells, and one that does not fit is a single cell with its number", () => {
  assert.deepEqual(drawn({ computes: "drafted" }, { most: "5" }).rows.map((row) => [row.computes, count(row, "drafted")]),
    [["P", 0], ["1 + 5", 5], ["1 + 5", 5], ["1 + 5", 5]]);
  assert.deepEqual(texts(drawn({ computes: "drafted" }, { most: "64" }).rows[1]), ["64 drafted"]);
});

test("rows are drawn side by side, from the second step on where the prompt runs once", () => {
  const lines = (more) => drawn({ computes: "new" }, { many: "3" }, { rows_from: "many", ...more }).rows.map((row) => row.lines);
  assert.deepEqual(lines({}), [3, 3, 3, 3, 3]);
  assert.deepEqual(lines({ searches: true, prefills_once: true }), [1, 3, 3, 3, 3]);
});

test("reserved room is drawn from the start and filled position by position", () => {
  assert.deepEqual(drawn({ computes: "new", keeps: "reserved" }).rows.map((row) => count(row, "room")), [4, 3, 2, 1, 0]);
});

test("a reused prefix is read in the first step", () => {
  assert.deepEqual(drawn({ computes: "new" }, {}, { keeps_prefix: true }).rows[0].prompt.map(({ kind }) => kind), ["read", "computed"]);
});

test("an incomplete setting is drawn as its default", () => {
  for (const most of ["", "-", "2.5", "99999999"]) assert.equal(count(drawn({ computes: "drafted" }, { most }).rows[1], "drafted"), 3);
});

/** A race of one lane whose steps are these lines, after a prompt of 40 tokens. */
const passes = (...lines) => {
  const lane = { strategy: "mine", name: "Mine", summary: "", lossless: true, options: {} };
  const race = new Race("run");
  race.feed(`S ${JSON.stringify({ prompt_text: "", prompt_tokens: 40, max_new_tokens: 8, lanes: [lane] })}`);
  for (const line of lines) race.feed(line);
  return race.lanes[0].passes;
};
const READS = { kind: "read", sinks: 0, room: 0 };
const ranges = (pass, look = {}) => rangesOf(pass, { ...READS, ...look }).map(({ kind, from, to }) => [kind, from, to]);
const TOKEN = (ran, bytes = 9) => `0 1 10 ${ran} ${bytes} - a`;

test("a cached step reads all but its newest position, one without a cache computes all", () => {
  const [prefill, next] = passes(TOKEN(40), TOKEN(1));
  assert.deepEqual([ranges(prefill), ranges(next)], [[["computed", 0, 40]], [["read", 0, 40], ["computed", 40, 41]]]);
  assert.deepEqual(ranges(passes(TOKEN(40, 0), TOKEN(41, 0))[1]), [["computed", 0, 41]]);
});

test("a window drops what lies between the first positions and the latest", () => {
  const [, step] = passes(TOKEN("40@40"), TOKEN("1@10"));
  assert.deepEqual(ranges(step, { sinks: 2 }), [["read", 0, 2], ["dropped", 2, 33], ["read", 33, 40], ["computed", 40, 41]]);
  assert.deepEqual(ranges(passes(TOKEN("40@40"), TOKEN("1@1"))[1], { sinks: 2 }), [["dropped", 0, 40], ["computed", 40, 41]]);
});

test("rejected drafts are drawn at the end, and reserved room after the filled part", () => {
  const [, step] = passes(TOKEN(40), TOKEN("5@45-3"));
  assert.deepEqual(ranges(step, { room: 48 }), [["read", 0, 40], ["computed", 40, 42], ["rejected", 42, 45], ["room", 42, 48]]);
});

test("a smaller cache makes cells lower by the measured ratio", () => {
  const [, step] = passes(TOKEN(40), TOKEN(1, "25/100"));
  assert.deepEqual(rangesOf(step, { ...READS, kind: "packed" }).map(({ size }) => size), [0.25, 1]);
  assert.deepEqual(rangesOf(step, READS).map(({ size }) => size), [1, 1]);
});

test("the prompt is folded into its column, and all but the newest positions into one cell", () => {
  const steps = passes(TOKEN(40), ...Array.from({ length: 29 }, () => TOKEN(1)));
  const { prompt, rest } = fold(rangesOf(steps[29], READS), 40);
  assert.deepEqual(prompt.map(({ kind, text, share }) => [kind, text, share]), [["read", undefined, 1]]);
  assert.deepEqual(rest.map(({ kind, text, cells }) => [kind, text ?? cells]), [["read", "21"], ["read", 7], ["computed", 1]]);
  const parted = fold(rangesOf(passes(TOKEN("10@40"))[0], READS), 40);
  assert.deepEqual(parted.prompt.map(({ kind, text, share }) => [kind, text, share]), [["read", "30", 0.75], ["computed", "10", 0.25]]);
});

test("the sums equal the closed forms", () => {
  const cached = passes(TOKEN(40), ...Array.from({ length: 5 }, () => TOKEN(1)));
  assert.deepEqual(sums(cached), { computed: 40 + 5, whole: 6 * 40 + (6 * 5) / 2 });
  const again = passes(...[0, 1, 2].map((step) => TOKEN(40 + step, 0)));
  assert.deepEqual(sums(again), { computed: 3 * 40 + 3, whole: 3 * 40 + 3 });
  assert.deepEqual(sums(passes(TOKEN("4x40@40"), TOKEN("4x1@41"))), { computed: 164, whole: 324 });
});

test("a lane whose strategy declares no picture is drawn", () => {
  assert.deepEqual(lookOf(null, {}, 48), READS);
  const named = { draft: "", window: "kept", sinks: "first", packing: "", bits: {}, in_full: {} };
  assert.deepEqual(lookOf({ ...named, computes: "new", keeps: "window" }, { kept: 8, first: 2 }, 48), { kind: "read", sinks: 2, room: 0 });
  assert.deepEqual(lookOf({ ...named, computes: "new", keeps: "reserved" }, {}, 48).room, 48);
});

test("a thousand steps fit into a picture of any size, none beyond its edges", () => {
  const steps = passes(TOKEN(40), ...Array.from({ length: 999 }, () => TOKEN(1)));
  for (const [width, height] of [[600, 78], [180, 60]]) {
    const geometry = geometryOf({ width, height, column: 104, rows: capacity(steps.length), cells: capacity(1000) });
    const parts = steps.flatMap((pass) => partsOf(rangesOf(pass, READS), 40, geometry));
    assert.ok(parts.every(({ left, right }) => left >= 0 && right <= width + 1e-9 && right >= left));
    assert.equal(rowAt(1e6, steps.length, geometry), 999);
    assert.equal(rowAt(-5, steps.length, geometry), 0);
  }
});

test("a few steps are drawn cell by cell, nearly as large as on the idle page", () => {
  const geometry = geometryOf({ width: 600, height: 78, column: 104, rows: capacity(3), cells: capacity(3) });
  const [, , step] = passes(TOKEN(40), TOKEN(1), TOKEN(1));
  assert.equal(partsOf(rangesOf(step, READS), 40, geometry).length, 3); // the prompt, one that is read, one computed
  assert.deepEqual([capacity(8), capacity(9), capacity(0)], [8, 16, 8]);
});
