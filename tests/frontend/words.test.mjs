// Words of the glossary are found in a text, once each, and never in what a model wrote.
import assert from "node:assert/strict";
import { test } from "node:test";
import { wordParts } from "../../kvdemo/web/frontend/base/explain/words.js";

const WORDS = { key: "key", keys: "key", "KV cache": "kv", cache: "cache", "a.b": "dotted" };
const marked = (text, known = new Set()) => wordParts(text, WORDS, known).filter(({ key }) => key).map(({ text: word }) => word);

test("the parts of a text are the text", () => {
  const text = 'Keys, a key; the KV cache holds "key" and <b>keys</b>.';
  assert.equal(wordParts(text, WORDS, new Set()).map(({ text: part }) => part).join(""), text);
});

test("the first of a word is marked, in any spelling, and the longest word wins", () => {
  assert.deepEqual(marked("Keys and a key: the KV cache, another cache."), ["Keys", "KV cache", "cache"]);
});

test("a word within another, or in a name, is none", () => {
  assert.deepEqual(marked("A monkey, key-value, DynamicCache, axb."), []);
});

test("what stands in quotation marks or backticks is left alone", () => {
  assert.deepEqual(marked('It wrote "a key \\" keys" and `cache`, not a key.'), ["key"]);
});

test("texts that stand together explain a word once", () => {
  const known = new Set();
  assert.deepEqual([marked("A key.", known), marked("Keys.", known)], [["key"], []]);
});
