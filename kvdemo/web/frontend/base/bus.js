// Events between parts of the page that know nothing of each other: status, model, tab, lanes, reasons, asking, submitted, settled.

/** @type {Map<string, ((detail: any) => void)[]>} */
const listeners = new Map();

/**
 * Calls back whenever an event of this name is emitted.
 * @param {string} name
 * @param {(detail: any) => void} callback
 */
export const on = (name, callback) => {
  listeners.set(name, [...(listeners.get(name) ?? []), callback]);
};

/**
 * Calls the listeners of an event in the order in which they came.
 * @param {string} name
 * @param {any} [detail]
 */
export const emit = (name, detail) => {
  for (const callback of listeners.get(name) ?? []) callback(detail);
};
