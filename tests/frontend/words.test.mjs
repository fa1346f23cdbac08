// Words of the glossary are found in a text, once each, and never in what a model wrote.
import assert from "node:assert/strict";
import { test } from "node:test";
import { wordParts } from "../../kvdemo/web/frontend/base/explain/words.js";

const WORDS = { key: "key", keys: "key", "KV cache": "kv", cache: "cache", "a.b": "dotted" };
const marked = (text, known = new Set()) => wordParts(text, WORDS, known).filter(({ key }) => key).map(({ text: word }) => word);

test("the parts join to the text", () => {
  const text = 'Keys, a key; the KV cache holds "key" and <b>keys</b>.';
  assert.equal(wordParts(text, WORDS, new Set()).map(({ text: part }) => part).join(""), text);
});

test("the first occurrence of a word is marked in any case, and the longest word wins", () => {
  assert.deepEqual(marked("Keys and a key: the KV cache, another cache."), ["Keys", "KV cache", "cache"]);
});

test("a word inside another word or a name is not marked", () => {
  assert.deepEqual(marked("A monkey, key-value, DynamicCache, axb."), []);
});

test("words in quotation marks or backticks are not marked", () => {
  assert.deepEqual(marked('It wrote "a key \\" keys" and `cache`, not a key.'), ["key"]);
});

test("a word is marked once in texts that are shown together", () => {
  const known = new Set();
  assert.deepEqual([marked("A key.", known), marked("Keys.", known)], [["key"], []]);
});
