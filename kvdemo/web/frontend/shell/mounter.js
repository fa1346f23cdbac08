// Mounts each tab but the first when it is opened, and parts of the first when a run can be started
// (kvdemo/web/components/tabs.py).
import { on } from "../base/bus.js";
import { hasTab, whenOpen } from "./tabs.js";

/** What a Gradio event returns to make a column visible, and thereby to have its content put on the page. */
const VISIBLE = { __type__: "update", visible: true };
/** @type {string[]} */
let names = [];
/** @type {Set<string>} */
const opened = new Set();

/**
 * An element without a look: `mount` runs the event whose outputs are these columns, in this order.
 * @param {HTMLElement} _element
 * @param {unknown} _props
 * @param {Watch} _watch
 * @param {() => void} mount
 * @param {string[]} columns
 */
export const drawMounter = (_element, _props, _watch, mount, columns) => {
  names = columns;
  /** @param {string} name */
  const open = (name) => {
    opened.add(name);
    mount();
  };
  let late = columns.filter((name) => !hasTab(name));
  for (const name of columns) if (hasTab(name)) whenOpen(name, () => open(name));
  on("status", ({ run }) => {
    if (run === undefined) return; // Race cannot be pressed yet
    for (const name of late) open(name);
    late = [];
  });
};

/** What that event writes to each column. Each is written to once: written to again, it would show what is hidden in it. */
export const columnsToShow = () => {
  const written = names.map((name) => (opened.has(name) ? VISIBLE : undefined));
  opened.clear();
  return written;
};
