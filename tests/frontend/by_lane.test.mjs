// A verdict's findings go to the lanes that they name by index, whatever their sentences begin with.
import assert from "node:assert/strict";
import { test } from "node:test";
import { byLane } from "../../kvdemo/web/frontend/race/verdict/by_lane.js";

const LANES = [{ index: 0, name: "Cache" }, { index: 1, name: "Cache (2)" }, { index: 2, name: "Cache" }];

test("a finding is shown at the first lane that it names", () => {
  const { general, lanes } = byLane([
    { lanes: [1, 0], text: "Cache ran 8 positions." },
    { lanes: [], text: "Cache (2) is named here, and all are meant." },
    { lanes: [2], text: "It kept 3 of 4." },
    { lanes: [1, 0], text: "Same text." },
  ], LANES);
  assert.deepEqual(general.map(({ text }) => text), ["Cache (2) is named here, and all are meant."]);
  assert.deepEqual(lanes.map(({ lane, found }) => [lane.index, found.map(({ text }) => text)]), [
    [1, ["Cache ran 8 positions.", "Same text."]], [2, ["It kept 3 of 4."]],
  ]);
});

test("without findings no lane has a sentence", () => {
  assert.deepEqual(byLane([], LANES), { general: [], lanes: [] });
});
