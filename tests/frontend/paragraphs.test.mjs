// A docstring is shown as text: its paragraphs, code and stress are told apart, and no markup is read.
import assert from "node:assert/strict";
import { test } from "node:test";
import { paragraphs } from "../../kvdemo/web/frontend/base/explain/paragraphs.js";

test("line breaks within a paragraph are joined, and blank lines separate paragraphs", () => {
  assert.deepEqual(paragraphs("  One\n    two.\n\n    Three.\n").map((pieces) => pieces.map(({ text }) => text).join("")), ["One two.", "Three."]);
});

test("backticks make code, asterisks emphasis, and a product of letters neither", () => {
  assert.deepEqual(paragraphs("The *text* of `a*b*c` is 2 * n * m."), [[
    { text: "The ", kind: "text" }, { text: "text", kind: "em" }, { text: " of ", kind: "text" },
    { text: "a*b*c", kind: "code" }, { text: " is 2 * n * m.", kind: "text" },
  ]]);
});

test("markup stays text", () => {
  assert.deepEqual(paragraphs("<b>x</b>"), [[{ text: "<b>x</b>", kind: "text" }]]);
});

test("an empty text has no paragraph", () => {
  assert.deepEqual([paragraphs(""), paragraphs(undefined), paragraphs("\n\n")], [[], [], []]);
});
