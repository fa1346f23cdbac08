// What a lane's text is like, running: the same cases as in Python (tests/core/figures/test_text_metrics.py).
import assert from "node:assert/strict";
import { test } from "node:test";
import { FIGURES, TextFigures } from "../../kvdemo/web/frontend/race/lanes/text_figures.js";
import { cases } from "./cases.mjs";

for (const { says, tokens, figures } of cases("text_figures")) {
  test(`${says}, as in Python`, () => {
    const text = new TextFigures();
    for (const [id, logprob] of tokens) text.add(id, logprob);
    assert.deepEqual(Object.keys(figures), [...FIGURES]);
    for (const name of FIGURES) {
      if (figures[name] === null) assert.equal(text[name], null, name);
      else assert.ok(Math.abs(text[name] - figures[name]) < 1e-6, `${name}: ${text[name]}`);
    }
  });
}
