// Events between parts of the page that know nothing of each other. `BusEvents` (types.d.ts) names them all.

/** @type {{ [Name in keyof BusEvents]: ((detail: BusEvents[Name]) => unknown)[] }} */
const listeners = { status: [], model: [], tab: [], lanes: [], reasons: [], asking: [], why: [], submitted: [], began: [], settled: [], marked: [], lost: [], returned: [] };

/**
 * Calls back whenever an event of this name is emitted.
 * @template {keyof BusEvents} Name
 * @param {Name} name
 * @param {(detail: BusEvents[Name]) => unknown} callback
 */
export const on = (name, callback) => {
  listeners[name].push(callback);
};

/**
 * Calls the listeners of an event in the order in which they came.
 * @template {keyof BusEvents} Name
 * @param {Name} name
 * @param {BusEvents[Name]} detail
 */
export const emit = (name, detail) => {
  for (const callback of [...listeners[name]]) callback(detail);
};
