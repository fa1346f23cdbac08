// When a form is asked about again.
import assert from "node:assert/strict";
import test, { afterEach, beforeEach, mock } from "node:test";

Object.assign(globalThis, { addEventListener: () => {}, location: new URL("http://localhost/"), document: { documentElement: { dataset: {} }, addEventListener: () => {}, querySelector: () => null, getElementById: () => null } }); // there is no page here
const { answered, ask, drawAgain, drawAsker } = await import("../../kvdemo/web/frontend/form/follow.js");

const TAB = "race"; // the one that is open at first

/** An asker whose first question is answered: the moments of its questions, and what the server does to put one off. */
const asked = () => {
  const at = [];
  let putOff;
  drawAsker(null, null, null, () => at.push(Date.now()), { tab: TAB, onModel: false, onEnd: false });
  drawAgain(null, null, (_, act) => { putOff = act; }, null, { tab: TAB, seconds: 5 });
  mock.timers.tick(0);
  answered(TAB);
  return { at, putOff };
};
beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "Date"] }));
afterEach(() => mock.timers.reset());

test("what the server put off is asked again without a click", () => {
  const { at, putOff } = asked();
  putOff();
  mock.timers.tick(4999);
  assert.deepEqual(at, [0]);
  mock.timers.tick(1);
  assert.deepEqual(at, [0, 5000]);
});

test("a form that changes meanwhile is asked about soon, and once", () => {
  const { at, putOff } = asked();
  putOff();
  mock.timers.tick(1000);
  ask(TAB);
  for (let passed = 0; passed < 20_000; passed += 100) mock.timers.tick(100);
  assert.deepEqual(at, [0, 1300]);
});

test("a change that waits to be asked about is not put off", () => {
  const { at, putOff } = asked();
  ask(TAB);
  putOff();
  for (let passed = 0; passed < 20_000; passed += 100) mock.timers.tick(100);
  assert.deepEqual(at, [0, 300]);
});
