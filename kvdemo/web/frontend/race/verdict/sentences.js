// The sentences of a verdict: words that explain themselves, and behind each sentence the way to the panel that shows why.
import { emit } from "../../base/bus.js";
import { el } from "../../base/dom.js";
import { prose } from "../../base/explain/prose.js";
import { hasTab, visitTab } from "../../shell/tabs.js";

/** @typedef {import("../wire.js").Finding} Finding */
/** @typedef {Record<string, string>} Reader what a link to Inside says of the race */

const TAB = "inside";
/** A longer prompt is handed over and not put into the address. */
const MOST_PROMPT = 1500;

/** @type {(panel: string, reader: Reader) => Record<string, string>} */
const parameters = (panel, { prompt = "", ...others }) => ({ tab: TAB, panel, ...others, ...(prompt.length > MOST_PROMPT ? {} : { prompt }) });

/**
 * A link to the panel of Inside that shows why, on the text of this race; null where no panel does, or there is no such tab.
 * @param {Finding} finding
 * @param {Reader} reader
 */
export const whyLink = ({ panel, text }, reader) => {
  if (!panel || !hasTab(TAB)) return null;
  const asked = parameters(panel, reader);
  return el("a", {
    class: "kv-whylink", href: `?${new URLSearchParams(asked)}`, "aria-label": `Why? ${text}`, "data-panel": panel,
    onclick: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      visitTab(TAB, asked); // the tab reads the address when it is opened
      emit("why", { panel, reader });
    },
  }, "Why?");
};

/**
 * Sentences, each with its link. `known` collects the words that were explained.
 * @param {Finding[]} findings
 * @param {Reader} reader
 * @param {Set<string>} [known]
 * @returns {(Node | string)[]}
 */
export const told = (findings, reader, known = new Set()) => findings.flatMap((finding, i) => {
  const why = whyLink(finding, reader);
  return [...(i ? [" "] : []), ...prose(finding.text, known), ...(why ? [" ", why] : [])];
});
