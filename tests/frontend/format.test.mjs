// Numbers as text: three significant digits at every size, and a dash for what is not known.
import assert from "node:assert/strict";
import { test } from "node:test";
import { format } from "../../kvdemo/web/frontend/base/format.js";
import { cases } from "./cases.mjs";

const CASES = {
  ...cases("numbers"),
  count: [[0, "0"], [1234567, "1,234,567"]],
  rate: [[1.234, "1.23"], [99.94, "99.9"], [99.96, "100"], [12345, "12,345"]],
  times: [[2.0949, "2.09×"], [0.5, "0.50×"]],
  duration: [[0.2, "1 s"], [99, "99 s"], [100, "2 min"], [5940, "99 min"], [7200, "2.0 h"]],
  percent: [[1, "100 %"], [0.0995, "10 %"], [0.0512, "5.1 %"], [0.0001, "< 0.1 %"]],
};

for (const [name, pairs] of Object.entries(CASES)) {
  test(`${name} is written with its unit`, () => {
    for (const [value, written] of pairs) assert.equal(format[name](value), written);
  });

  test(`${name} of an unknown value is a dash`, () => {
    for (const value of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) assert.equal(format[name](value), format.none);
  });
}

test("zero seconds are written in milliseconds", () => assert.equal(format.seconds(0), "0.00 ms"));
