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
  test(`${text} is read as in Python`, () => {
    assert.deepEqual(readSpecs(text), lanes.map(([id, values]) => ({ id, values })));
  });
}

for (const [text, shortest] of SHARED.shortest) {
  test(`${text} is written as in Python`, () => {
    assert.equal(writeSpecs(readSpecs(text), new Map([["toy", TOY]])), shortest);
  });
}

for (const [text, name] of SHARED.names) {
  test(`a lane of ${text} is named ${name}, as in Python`, () => {
    assert.equal(specName(TOY, readSpecs(text)[0].values), name);
  });
}

test("an emptied sampler setting is removed from the spec and the name", () => {
  const values = { temperature: "", top_k: "5" };
  assert.equal(writeSpecs([{ id: "toy", values }], new Map([["toy", TOY]])), "toy:top_k=5");
  assert.equal(specName(TOY, values), "Toy · top-k 5");
});

test("a strategy with its own choice of tokens takes no sampler settings", () => {
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

test("spaces and empty parts are ignored", () => {
  assert.deepEqual(readSpecs(" no_cache ,, sliding_window : window = 12"), [
    { id: "no_cache", values: {} }, { id: "sliding_window", values: { window: "12" } },
  ]);
  for (const nothing of ["", null, undefined]) assert.deepEqual(readSpecs(nothing), []);
});

test("a written spec is read back unchanged", () => {
  for (const text of ["no_cache", "sliding_window:window=12", "sliding_window:window=12:sinks=0,no_cache,sliding_window"]) {
    assert.equal(writeSpecs(readSpecs(text), KNOWN), text);
  }
});

test("settings equal to their defaults are left out, however they are written", () => {
  for (const same of ["64", "64.0", ""]) {
    assert.equal(writeSpecs([{ id: "sliding_window", values: { window: same } }], KNOWN), "sliding_window");
  }
});

test("settings are written in the strategy's order, without unknown ones", () => {
  const values = { sinks: "1", window: "8", other: "3" };
  assert.deepEqual(changedSettings(WINDOW, values).map(([name]) => name), ["window", "sinks"]);
  assert.equal(writeSpecs([{ id: "sliding_window", values }], KNOWN), "sliding_window:window=8:sinks=1");
});

test("an unknown strategy keeps its id", () => {
  assert.equal(writeSpecs([{ id: "made_up", values: { x: "1" } }], KNOWN), "made_up");
});

test("lanes of one strategy have different names", () => {
  assert.equal(specName(WINDOW, {}), "Window");
  assert.equal(specName(WINDOW, { window: "12", sinks: "4" }), "Window (window 12)");
});
