// Lanes as text: what a form writes, a link carries and the server reads.
import assert from "node:assert/strict";
import { test } from "node:test";
import { changedSettings, readSpecs, specName, withSampling, writeSpecs } from "../../kvdemo/web/frontend/base/lane_spec.js";
import { cases } from "./cases.mjs";

const option = (label, value) => ({ label, default: value, about: "", low: 0, high: 100, whole: true, choices: [] });
const WINDOW = { id: "sliding_window", name: "Window", summary: "", options: { window: option("Window", 64), sinks: option("Sinks", 4) } };
const PLAIN = { id: "no_cache", name: "No cache", summary: "", options: {} };
const KNOWN = new Map([WINDOW, PLAIN].map((strategy) => [strategy.id, strategy]));

const SHARED = cases("lane_specs");
const TOY = { id: "toy", name: "Toy", options: SHARED.options, sampling: SHARED.sampling };

for (const [text, lanes] of SHARED.read) {
  test(`${text} is read as Python reads it`, () => {
    assert.deepEqual(readSpecs(text), lanes.map(([id, values]) => ({ id, values })));
  });
}

for (const [text, shortest] of SHARED.shortest) {
  test(`${text} is written as Python writes it`, () => {
    assert.equal(writeSpecs(readSpecs(text), new Map([["toy", TOY]])), shortest);
  });
}

for (const [text, name] of SHARED.names) {
  test(`a lane of ${text} is called ${name}, as Python calls it`, () => {
    assert.equal(specName(TOY, readSpecs(text)[0].values), name);
  });
}

test("a setting of a sampler that is emptied leaves the spec and the name", () => {
  const values = { temperature: "", top_k: "5" };
  assert.equal(writeSpecs([{ id: "toy", values }], new Map([["toy", TOY]])), "toy:top_k=5");
  assert.equal(specName(TOY, values), "Toy · top-k 5");
});

test("a strategy with a rule of its own takes no settings of samplers", () => {
  const samplers = [{ options: { temperature: SHARED.sampling.temperature } }, { options: { top_k: SHARED.sampling.top_k } }];
  const [drawn, searched] = withSampling([{ ...PLAIN, samples: true }, { ...PLAIN, id: "beams", samples: false }], samplers);
  assert.deepEqual(Object.keys(drawn.sampling), ["temperature", "top_k"]);
  assert.equal(writeSpecs([{ id: "beams", values: { temperature: "1" } }], new Map([["beams", searched]])), "beams");
});

test("a text with settings is read lane by lane", () => {
  assert.deepEqual(readSpecs("no_cache,sliding_window:window=12:sinks=2"), [
    { id: "no_cache", values: {} }, { id: "sliding_window", values: { window: "12", sinks: "2" } },
  ]);
});

test("spaces and empty parts mean nothing", () => {
  assert.deepEqual(readSpecs(" no_cache ,, sliding_window : window = 12"), [
    { id: "no_cache", values: {} }, { id: "sliding_window", values: { window: "12" } },
  ]);
  for (const nothing of ["", null, undefined]) assert.deepEqual(readSpecs(nothing), []);
});

test("what was written is read again as it was", () => {
  for (const text of ["no_cache", "sliding_window:window=12", "sliding_window:window=12:sinks=0,no_cache,sliding_window"]) {
    assert.equal(writeSpecs(readSpecs(text), KNOWN), text);
  }
});

test("settings at their defaults are left out, however they are written", () => {
  for (const same of ["64", "64.0", ""]) {
    assert.equal(writeSpecs([{ id: "sliding_window", values: { window: same } }], KNOWN), "sliding_window");
  }
});

test("settings stand in the strategy's order, and unknown ones go", () => {
  const values = { sinks: "1", window: "8", other: "3" };
  assert.deepEqual(changedSettings(WINDOW, values).map(([name]) => name), ["window", "sinks"]);
  assert.equal(writeSpecs([{ id: "sliding_window", values }], KNOWN), "sliding_window:window=8:sinks=1");
});

test("a strategy that is not known keeps its id", () => {
  assert.equal(writeSpecs([{ id: "made_up", values: { x: "1" } }], KNOWN), "made_up");
});

test("a lane's name tells it from another of the same strategy", () => {
  assert.equal(specName(WINDOW, {}), "Window");
  assert.equal(specName(WINDOW, { window: "12", sinks: "4" }), "Window (window 12)");
});
