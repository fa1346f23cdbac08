// The pace of what is drawn with much that comes: rarely, soon after what came, and at once where it must.
import assert from "node:assert/strict";
import test, { afterEach, mock } from "node:test";
import { Pacer } from "../../kvdemo/web/frontend/race/pacer.js";

const PACE = { interval: 100, longest: 500, share: 0.1 };

/** A pacer on a clock of the test; each drawing takes `cost` milliseconds of it. `drawn` are the times of the drawings. */
const paced = (cost = 0) => {
  let now = 1000;
  let waiting = null; // the one timer of a pacer
  mock.method(performance, "now", () => now);
  mock.method(globalThis, "setTimeout", (act, wait) => { waiting = { act, at: now + wait }; return waiting; });
  mock.method(globalThis, "clearTimeout", () => { waiting = null; });
  const drawn = [];
  const pacer = new Pacer(() => { drawn.push(now); now += cost; }, PACE);
  const pass = (ms) => {
    now += ms;
    if (!waiting || waiting.at > now) return;
    const { act } = waiting;
    waiting = null;
    act();
  };
  return { pacer, pass, drawn };
};
afterEach(() => mock.restoreAll());

test("what comes within the interval is drawn with what comes after it, and not in between", () => {
  const { pacer, pass, drawn } = paced();
  for (let i = 0; i < 10; i += 1) {
    pacer.ask();
    pass(60);
  }
  assert.deepEqual(drawn, [1000, 1120, 1240, 1360, 1480]);
});

test("what comes as rarely as a race that rests sends it is drawn with it, too", () => {
  const { pacer, pass, drawn } = paced(27);
  const came = [];
  for (let i = 0; i < 20; i += 1) {
    came.push(performance.now());
    pacer.ask();
    pass(210);
  }
  assert.ok(drawn.length > 8);
  assert.deepEqual(drawn.filter((at) => !came.includes(at)), []);
});

test("what came last is drawn, though nothing comes after it", () => {
  const { pacer, pass, drawn } = paced();
  pacer.ask();
  pass(10);
  pacer.ask();
  pass(1000);
  assert.equal(drawn.length, 2);
});

test("what must be drawn is drawn at once, and once", () => {
  const { pacer, pass, drawn } = paced();
  pacer.ask();
  pacer.ask();
  pacer.ask(true);
  pass(1000);
  assert.equal(drawn.length, 2);
});

test("drawings take their share of the time as long as they are not rarer than the longest pause", () => {
  const pauses = (cost) => {
    const { pacer, pass, drawn } = paced(cost);
    for (let i = 0; i < 2000; i += 1) {
      pacer.ask();
      pass(10);
    }
    mock.restoreAll();
    return drawn[drawn.length - 1] - drawn[drawn.length - 2];
  };
  assert.ok(Math.abs(pauses(20) - 220) <= 20); // a tenth
  assert.ok(Math.abs(pauses(200) - 700) <= 20); // a tenth would be two seconds
});

test("a drawing that could not be made is tried again", () => {
  let tries = 0;
  const pacer = new Pacer(() => {
    tries += 1;
    return false;
  }, PACE);
  for (let i = 0; i < 3; i += 1) pacer.ask();
  assert.equal(tries, 3);
});
