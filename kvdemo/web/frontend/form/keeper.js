// What the forms hold and a finished race, kept by the browser where the page is loaded again because its server was lost.
import { emit } from "../base/bus.js";
import { given } from "../base/event_data.js";
import { connection } from "../shell/connection.js";

const KEY = "kvdemo-forms";
/** Characters of a race that are kept at most: a browser has room for some five million in all. */
const MOST = 2_000_000;
/** The forms' values, in the order of their controls; null before one has changed. @type {unknown[] | null} */
let held = null;
/** Fills the forms. @type {(() => void) | null} */
let fill = null;
/** The sheets of the finished race that the page shows; null where there is none. @type {() => string[] | null} */
let race = () => null;

/** @param {unknown[]} values */
export const keep = (values) => { held = values; };

/** @param {() => string[] | null} shown the sheets of the finished race that the page shows */
export const keepRace = (shown) => { race = shown; };

/** What was kept, once; null where that is nothing, or the browser may not keep anything. */
const taken = () => {
  try {
    const kept = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    return kept && JSON.parse(kept);
  } catch (error) {
    console.warn(error);
    return null;
  }
};

/** Tells whether the browser kept it: it may have no room, or may not.
 * @param {object} kept */
const write = (kept) => {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(kept));
    return true;
  } catch (error) {
    console.warn(error);
    return false;
  }
};

/** An element without a look (kvdemo/web/components/form_keeper.py): `put` fills the forms.
 * @type {DrawElement<string, null>} */
export const drawKeeper = (_element, _props, _watch, put) => { fill = put; };

/** The forms hold what the link says: a page that comes back from a lost server has them as they were, and its race. */
export const arrived = () => {
  const kept = taken();
  if (!kept || kept.search !== location.search || (kept.app === connection.app && !kept.lost)) return;
  if (kept.values) {
    given.kept = (values) => (values.length === kept.values.length ? kept.values : values);
    fill?.();
  }
  // Another version of the page may write its sheets in another way.
  if (kept.raced) emit("returned", kept.code === import.meta.url ? kept.sheets ?? null : null);
};

addEventListener("pagehide", () => {
  const sheets = race();
  if (!held && !sheets) return;
  const forms = { ...connection, search: location.search, values: held, raced: sheets !== null, code: import.meta.url };
  const fits = sheets !== null && sheets.reduce((sum, sheet) => sum + sheet.length, 0) <= MOST;
  if (!(fits && write({ ...forms, sheets }))) write(forms);
});
