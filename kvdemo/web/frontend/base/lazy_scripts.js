// Scripts that are fetched when they are needed. Where one does not come, the page says so, and asks again at the next use.
import { on } from "./bus.js";
import { el, showFloating } from "./dom.js";

/** The sentence on the page, while something is missing. @type {HTMLElement | null} */
let notice = null;
/** What could not be done, to be tried again. @type {Set<() => unknown>} */
const undone = new Set();

const sayMissing = () => {
  notice ??= el("p", { class: "kv-missing", role: "alert" }, "A part of this page could not be fetched. ",
    el("button", { type: "button", class: "kv-button", onclick: () => location.reload() }, "Reload the page"));
  showFloating(notice);
};

/**
 * What a script offers, once it is there; null if it does not come, which leaves a sentence on the page.
 * @template Offered
 * @param {() => Promise<Offered>} fetch
 * @param {() => unknown} [again] what to do anew when a tab is opened or a run is started, if the script did not come
 * @returns {Promise<Offered | null>}
 */
export const late = async (fetch, again) => {
  try {
    const offered = await fetch();
    notice?.remove();
    return offered;
  } catch (error) {
    console.warn(error);
    if (again) undone.add(again);
    sayMissing();
    return null;
  }
};

const retry = () => {
  const due = [...undone];
  undone.clear();
  for (const act of due) act();
};
on("tab", retry);
on("submitted", retry);
