// The tabs. A panel is put on the page when it is first opened (mounter.js), and one is laid out (styles/page.css); `?tab=` opens
// one and says which is open.
import { emit, on } from "../base/bus.js";
import { el, whenThere } from "../base/dom.js";

const TABS = [["race", "Race"], ["measure", "Measure"], ["compare", "Compare"], ["plan", "Plan"], ["inside", "Inside"]];
const names = TABS.map(([name]) => name);
/** @type {Map<string, { button: HTMLElement, dot: HTMLElement }>} */
const buttons = new Map();
let opened = "";

/** The tab that is open. */
export const currentTab = () => opened;

/** Whether there is a tab of this name.
 * @param {string} name */
export const hasTab = (name) => names.includes(name);

/** Changes the address without loading anything; null removes a parameter.
 * @param {Record<string, string | null>} changes */
export const setAddress = (changes) => {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  history.replaceState(history.state, "", url);
};

/** @type {(search: string) => string} */
const asked = (search) => {
  const name = new URLSearchParams(search).get("tab") ?? "";
  return names.includes(name) ? name : "race";
};

/** @param {string} name */
const show = (name) => {
  opened = name;
  document.documentElement.dataset.kvTab = name;
  for (const [other, { button }] of buttons) {
    button.setAttribute("aria-selected", String(other === name));
    button.tabIndex = other === name ? 0 : -1;
  }
};

/** @param {string} name */
export const openTab = (name) => {
  if (!names.includes(name) || name === currentTab()) return;
  show(name);
  setAddress({ tab: name === "race" ? null : name });
  scrollTo(0, 0);
  emit("tab", name);
};

/**
 * Opens a tab in an entry of its own of the browser's history, so that Back leads to the tab that was left, as it was.
 * @type {(name: string, parameters?: Record<string, string>) => void} */
export const visitTab = (name, parameters = {}) => {
  if (!names.includes(name) || name === currentTab()) return;
  history.replaceState({ ...history.state, scrolled: scrollY }, "");
  history.pushState({ from: currentTab() }, "");
  setAddress(parameters);
  openTab(name);
};

/** Goes back to a tab: to where it was left, if this one was opened from it.
 * @param {string} name */
export const returnTo = (name) => {
  if (history.state?.from === name) history.back();
  else visitTab(name);
};

addEventListener("popstate", ({ state }) => {
  const name = asked(location.search);
  if (name === currentTab()) return;
  show(name);
  emit("tab", name);
  scrollTo(0, state?.scrolled ?? 0);
});

/** Calls back once, when the tab is open for the first time.
 * @type {(name: string, act: () => void) => void} */
export const whenOpen = (name, act) => {
  let due = true;
  /** @param {string} open */
  const once = (open) => {
    if (!due || open !== name) return;
    due = false;
    act();
  };
  on("tab", once);
  once(currentTab());
};

/** A dot beside the name of a tab where something is at work.
 * @type {(name: string, busy: boolean) => void} */
export const tabBusy = (name, busy) => {
  const tab = buttons.get(name);
  if (tab) tab.dot.hidden = !busy;
};

/** Left, right, home and end, as in every row of tabs.
 * @param {KeyboardEvent} event */
const walk = (event) => {
  const at = names.indexOf(currentTab());
  /** @type {Record<string, number>} */
  const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: names.length - 1 };
  const to = moves[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const name = names[(to + names.length) % names.length];
  openTab(name);
  buttons.get(name)?.button.focus();
};

/** The row of tabs, for the header. */
export const tabRow = () => {
  const row = TABS.map(([name, label]) => {
    const dot = el("i", { hidden: true, role: "img", "aria-label": "at work" });
    const button = el("button", { type: "button", class: "kv-tabbutton", role: "tab", id: `kv-tabbutton-${name}`, "aria-controls": `kv-tab-${name}`,
      onclick: () => visitTab(name) }, label, dot);
    buttons.set(name, { button, dot });
    whenOpen(name, () => whenThere(`kv-tab-${name}`, (panel) => {
      panel.setAttribute("role", "tabpanel");
      panel.setAttribute("aria-labelledby", button.id);
    }));
    return button;
  });
  show(currentTab());
  return el("nav", { class: "kv-tabs", role: "tablist", "aria-label": "What to do", onkeydown: walk }, ...row);
};

show(asked(location.search));
