// The lines that kvdemo/web/wire.py writes (tests/web/test_wire.py has the same ones), read into a race.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Race } from "../../kvdemo/web/frontend/race/wire.js";
import { cases } from "./cases.mjs";

const LANES = [
  { strategy: "no_cache", name: "No cache", summary: "", lossless: true },
  { strategy: "dynamic_cache", name: "DynamicCache", summary: "", lossless: true },
];

/** A race that has started, with these lines after it. */
const raced = (lines, lanes = LANES) => {
  const race = new Race("run");
  race.feed(`S ${JSON.stringify({ prompt_text: "Hi", prompt_tokens: 3, max_new_tokens: 8, lanes })}`);
  for (const line of lines) race.feed(line);
  return race;
};

test("a token line adds one token with its cost, place and probability", () => {
  const [, lane] = raced(["1 100 33210 4 46080 500  the"]).lanes;
  const [token] = lane.tokens;
  assert.deepEqual([token.id, token.text, token.seconds, token.positions, token.bytes], [100, " the", 0.03321, 4, 46080]);
  assert.ok(Math.abs(token.probability - Math.exp(-0.5)) < 1e-12);
  assert.deepEqual([lane.x, lane.count, lane.ttft], [[4], 1, 0.03321]);
});

test("a known entropy is read beside the surprise", () => {
  const [, lane] = raced(["1 100 33210 4 46080 500/1234  the", "1 100 33210 4 46080 -  the"]).lanes;
  assert.deepEqual([lane.entropies, lane.logprobs], [[1.234, null], [-0.5, null]]);
  assert.deepEqual(lane.tokens.map(({ entropy, logprob, probability }) => [entropy, logprob, probability]), [[1.234, -0.5, Math.exp(-0.5)], [null, null, null]]);
});

test("a step of three tokens carries its cost once and shares it", () => {
  const [lane] = raced(["0 100 60000*3 5 0 500 a", "+ 101 500 b", "+ 102 - "]).lanes;
  assert.equal(lane.seconds, 0.06);
  assert.equal(lane.positions, 5);
  assert.deepEqual(lane.tokens.map(({ seconds, text, first }) => [seconds, text, first]), [[0.02, "a", 0], [0.02, "b", 0], [0.02, "", 0]]);
  assert.equal(lane.tokens[2].probability, null);
});

/** What the first lane's passes ran: rows, positions, context, rejected, all positions so far. */
const ran = (...lines) => raced(lines).lanes[0].passes.map((pass) => [pass.rows, pass.positions, pass.context, pass.rejected, pass.seen]);

test("a step of one row reads all positions before its own, or nothing where nothing is kept", () => {
  assert.deepEqual(ran("0 1 10 3 64 - a", "0 1 10 1 80 - b", "0 1 10 1 96 - c"), [[1, 3, 3, 0, 3], [1, 1, 4, 0, 4], [1, 1, 5, 0, 5]]);
  assert.deepEqual(ran("0 1 10 3 0 - a", "0 1 10 4 0 - b"), [[1, 3, 3, 0, 3], [1, 4, 4, 0, 4]]);
});

test("rows, windows and rejected drafts are in the passes, and their positions are summed", () => {
  const { lanes: [lane] } = raced(["0 1 10 2x3@3 64 - a", "0 1 10 5@7-3 80 - b", "0 1 10 1@3 80 - c"]);
  assert.deepEqual(lane.passes.map(({ rows, positions, context, rejected, seen }) => [rows, positions, context, rejected, seen]),
    [[2, 3, 3, 0, 3], [1, 5, 7, 3, 7], [1, 1, 3, 0, 5]]);
  assert.deepEqual([lane.positions, lane.tokens[0].positions], [12, 6]);
  assert.deepEqual(lane.tokens.map(({ read }) => read), [0, 2, 2]); // what a window has dropped is not read
});

test("equal passes of a search are several, each over a longer context", () => {
  assert.deepEqual(ran("0 1 10*2/4 3@3+4x1@4*3 64 - a", "+ 1 - b"), [[1, 3, 3, 0, 3], [4, 1, 4, 0, 4], [4, 1, 5, 0, 5], [4, 1, 6, 0, 6]]);
});

test("a step of a remote lane has no passes", () => assert.deepEqual(ran("0 1 10 0 0 - a"), []));

test("the bytes of an exact cache are read beside those held", () => {
  const [lane] = raced(["0 1 10 3 25/100 - a", "0 1 10 1 30 - b"]).lanes;
  assert.deepEqual(lane.passes.map(({ bytes, exact }) => [bytes, exact]), [[25, 100], [30, 30]]);
  assert.equal(lane.cache, 30);
});

test("line breaks, tildes and markup come back as they were", () => {
  const [lane] = raced(["0 1 10 1 0 - ~n~~~l/script> x"]).lanes;
  assert.equal(lane.tokens[0].text, "\n~</script> x");
});

test("the lane's own text replaces the text that was shown", () => {
  const [lane] = raced(["0 1 10 1 0 - ", "= \ufffd"]).lanes;
  assert.deepEqual([lane.tokens[0].text, lane.tokens[0].written], ["", "\ufffd"]);
});

test("pending text is added to the last token before the lane ends", () => {
  const [lane] = raced(["0 1 10 1 0 - a", "T 0 \ufffd", "E 0 length "]).lanes;
  assert.deepEqual([lane.tokens[0].text, lane.reason, lane.error], ["a\ufffd", "length", ""]);
});

test("a failed lane keeps its whole error", () => {
  const [, lane] = raced(["E 1 error Out of~nmemory."]).lanes;
  assert.deepEqual([lane.reason, lane.error], ["error", "Out of\nmemory."]);
});

test("progress is a fraction, or unknown", () => {
  const race = new Race("run");
  race.feed("P 123 Fetching");
  assert.deepEqual(race.progress, { text: "Fetching", fraction: 0.123 });
  race.feed("P - Waiting");
  assert.deepEqual(race.progress, { text: "Waiting", fraction: null });
});

test("the speed-up is taken at the smaller of the two token counts", () => {
  const race = raced(["0 1 400000 1 0 - a", "0 1 400000 1 0 - b", "1 1 100000 1 0 - a"]);
  assert.equal(race.speedup(race.lanes[1]).times, 4);
  assert.equal(race.speedup(race.lanes[0]), null);
});

test("a search has no speed-up before both are done, and no TTFT", () => {
  const race = raced(["0 1 400000 1 0 - a", "1 1 100000/2 1 0 - a"], [LANES[0], { ...LANES[1], searches: true }]);
  assert.equal(race.speedup(race.lanes[1]), null);
  assert.deepEqual([race.lanes[1].ttft, race.lanes[1].level], [null, 0.05]);
  for (const lane of [0, 1]) race.feed(`E ${lane} length `);
  assert.equal(race.speedup(race.lanes[1]).times, 4);
});

test("an unknown line of a newer server is ignored", () => {
  assert.equal(raced(["Q something"]).lanes.length, 2);
});

/** The lines of a lane whose steps are [seconds, tokens, levels of a search], and its end. */
const linesOf = (lane, steps) => [...steps.flatMap(([seconds, tokens, levels]) => [
  `${lane} 1 ${Math.round(seconds * 1e6)}*${tokens}${levels ? `/${levels}` : ""} 1 0 - a`, ...Array(tokens - 1).fill("+ 1 - a"),
]), `E ${lane} length `];

const near = (value, expected) => (expected === null ? value === null : Math.abs(value - expected) <= 1e-6 * Math.max(1, expected));

for (const { says, lanes, speedup } of cases("lane_figures")) {
  test(`${says}, as in Python`, () => {
    const infos = lanes.map(({ steps }, i) => ({ ...LANES[i], searches: steps.some(([, , levels]) => levels) }));
    const race = raced(lanes.flatMap(({ steps }, i) => linesOf(i, steps)), infos);
    for (const [i, { figures }] of lanes.entries()) {
      for (const [name, expected] of Object.entries(figures)) {
        assert.ok(near(race.lanes[i][name], expected), `lane ${i}: ${name} is ${race.lanes[i][name]} and not ${expected}`);
      }
    }
    assert.ok(near(race.speedup(race.lanes[1])?.times ?? null, speedup), `the speed-up is not ${speedup}`);
  });
}
