// Numbers as text: three significant digits at every size, and a dash for what is not known.
import assert from "node:assert/strict";
import { test } from "node:test";
import { format } from "../../kvdemo/web/frontend/base/format.js";

const CASES = {
  count: [[0, "0"], [1234567, "1,234,567"]],
  seconds: [[0, "0.00 ms"], [0.0000012, "1.20 µs"], [0.0331, "33.1 ms"], [0.9994, "999 ms"], [0.9996, "1.00 s"], [9.994, "9.99 s"], [9.996, "10.0 s"], [123.4, "123 s"]],
  rate: [[1.234, "1.23"], [99.94, "99.9"], [99.96, "100"], [12345, "12,345"]],
  times: [[2.0949, "2.09×"], [0.5, "0.50×"]],
  bytes: [[999, "999 B"], [46080, "46.1 kB"], [24e9, "24.0 GB"], [5e15, "5,000 TB"]],
  flops: [[5e9, "5.00 GFLOP/s"], [2.5e12, "2.50 TFLOP/s"]],
  duration: [[0.2, "1 s"], [99, "99 s"], [100, "2 min"], [5940, "99 min"], [7200, "2.0 h"]],
  percent: [[1, "100 %"], [0.0995, "10 %"], [0.0512, "5.1 %"], [0.0001, "< 0.1 %"]],
};

for (const [name, cases] of Object.entries(CASES)) {
  test(`${name} is written with its unit`, () => {
    for (const [value, written] of cases) assert.equal(format[name](value), written);
  });

  test(`${name} of nothing known is a dash`, () => {
    for (const value of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) assert.equal(format[name](value), format.none);
  });
}
