// What the server last said of its model: its state, and what the strategies can do on it.
import { emit } from "./bus.js";

/** @type {Status | null} */
let last = null;

/** The last status, or null before the first. */
export const modelStatus = () => last;

/**
 * Keeps a status and emits `status`.
 * @param {Status} status
 */
export const takeStatus = (status) => {
  last = status;
  emit("status", status);
};
