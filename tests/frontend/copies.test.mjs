// The page's own structuredClone: what cannot change is its own copy, and all else is copied or refused as by the browser.
import assert from "node:assert/strict";
import test from "node:test";

const window = { structuredClone: globalThis.structuredClone };
globalThis.window = window;
await import("../../kvdemo/web/frontend/shell/copies.js");
const copy = window.structuredClone;

test("what cannot change is handed back without the browser's copying", () => {
  for (const value of [undefined, null, false, 0, -0, NaN, "text", 2n]) assert.ok(Object.is(copy(value), value));
});

test("objects, lists and dates are copied", () => {
  const value = { list: [1, { deep: true }], at: new Date(0) };
  const copied = copy(value);
  assert.deepEqual(copied, value);
  assert.notEqual(copied.list, value.list);
  assert.notEqual(copied.list[1], value.list[1]);
});

test("what cannot be copied is refused", () => {
  for (const value of [() => 1, Symbol("one")]) assert.throws(() => copy(value), { name: "DataCloneError" });
});

test("what is handed over leaves its owner", () => {
  const { buffer } = new Uint8Array([1, 2]);
  const copied = copy(buffer, { transfer: [buffer] });
  assert.equal(copied.byteLength, 2);
  assert.equal(buffer.byteLength, 0);
});
