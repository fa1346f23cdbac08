// What the forms hold, kept by the browser where the page is loaded again because its server was lost.
import { given } from "../base/event_data.js";
import { connection } from "../shell/connection.js";

const KEY = "kvdemo-forms";
/** The forms' values, in the order of their controls; null before one has changed. @type {unknown[] | null} */
let held = null;
/** Fills the forms. @type {(() => void) | null} */
let fill = null;

/** @param {unknown[]} values */
export const keep = (values) => { held = values; };

/** An element without a look (kvdemo/web/components/form_keeper.py): `put` fills the forms.
 * @type {DrawElement<string, null>} */
export const drawKeeper = (_element, _props, _watch, put) => { fill = put; };

/** The forms hold what the link says: a page that comes back from a lost server has them as they were. */
export const arrived = () => {
  const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  sessionStorage.removeItem(KEY);
  if (!kept || kept.search !== location.search || (kept.app === connection.app && !kept.lost)) return;
  given.kept = (values) => (values.length === kept.values.length ? kept.values : values);
  fill?.();
};

addEventListener("pagehide", () => {
  if (!held) return;
  try {
    sessionStorage.setItem(KEY, JSON.stringify({ ...connection, search: location.search, values: held }));
  } catch (error) {
    console.warn(error); // more than a browser keeps: the forms are as the link says
  }
});
