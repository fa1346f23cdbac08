// The labels of numbers, each with its definition (kvdemo/web/words/figures.py, which kvdemo/web/assets.py puts into the page's head).
import { el } from "../dom.js";
import { explain } from "./tooltip.js";

export const { definitions } = window.kvdemo;

/** A number's label: a button, so that the keyboard and a thumb reach its definition.
 * @param {Definition} definition */
export const term = (definition, label = definition.name) =>
  explain(el("button", { type: "button", class: "kv-term" }, label), {
    title: definition.long, text: definition.text, also: definition.also,
  });

/** The word for where a figure is from, with what it means.
 * @param {string} word */
export const basis = (word) => {
  const known = definitions[word];
  const tag = known ? term(known) : el("span", {}, word);
  tag.classList.add("kv-tag");
  tag.dataset.basis = word;
  return tag;
};
