// Events between parts of the page that know nothing of each other: status, model, tab, lanes, reasons, asking, submitted, settled.

const listeners = {};
export const on = (name, callback) => (listeners[name] ??= []).push(callback);
export const emit = (name, detail) => (listeners[name] ?? []).forEach((callback) => callback(detail));
