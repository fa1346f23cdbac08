// Python in a few colours: nothing of the source is lost, and no mark runs over the end of a line.
import assert from "node:assert/strict";
import { test } from "node:test";
import { lines, parts } from "../../kvdemo/web/frontend/inside/drawing/highlight.js";

const SOURCE = 'def f(x):  # "no string"\n    """A text\n    of two lines."""\n    return 2.5 * x if x else "#not"\n';

test("the parts join to the source", () => {
  assert.equal(parts(SOURCE).map(([, text]) => text).join(""), SOURCE);
  assert.equal(lines(SOURCE).map((line) => line.map(([, text]) => text).join("")).join("\n"), SOURCE);
});

test("comments, strings, keywords, definitions and numbers get classes of their own", () => {
  const of = (kind) => parts(SOURCE).filter(([found]) => found === kind).map(([, text]) => text);
  assert.deepEqual(of("comment"), ['# "no string"']);
  assert.deepEqual(of("defined"), ["f"]);
  assert.deepEqual(of("keyword"), ["def", "return", "if", "else"]);
  assert.deepEqual(of("number"), ["2.5"]);
  assert.deepEqual(of("string"), ['"""A text\n    of two lines."""', '"#not"']);
});

test("a text over two lines is a string on both", () => {
  assert.deepEqual(lines(SOURCE)[2], [["string", '    of two lines."""']]);
});
