// Mounts each tab but the first when it is first opened (kvdemo/web/components/tabs.py).
import { whenOpen } from "./tabs.js";

/** What a Gradio event returns to make a column visible, and thereby to have its content put on the page. */
const VISIBLE = { __type__: "update", visible: true };
/** @type {string[]} */
let names = [];
/** @type {Set<string>} */
const opened = new Set();

/**
 * An element without a look: `mount` runs the event whose outputs are the columns of these tabs, in this order.
 * @param {HTMLElement} _element
 * @param {unknown} _props
 * @param {Watch} _watch
 * @param {() => void} mount
 * @param {string[]} tabs
 */
export const drawMounter = (_element, _props, _watch, mount, tabs) => {
  names = tabs;
  for (const name of tabs) {
    whenOpen(name, () => {
      opened.add(name);
      mount();
    });
  }
};

/** What that event writes to each column. Each is written to once: written to again, it would show what is hidden in it. */
export const columnsToShow = () => {
  const written = names.map((name) => (opened.has(name) ? VISIBLE : undefined));
  opened.clear();
  return written;
};
