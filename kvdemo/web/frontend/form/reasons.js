// Why strategies cannot run on the model that a form holds.
import { emit, on } from "../base/bus.js";
import { modelStatus } from "../base/status.js";

/** The model that each tab's form holds. */
const chosen = /** @type {Record<string, string>} */ ({});

/** @type {(tab: string, model: string) => void} */
export const chooseModel = (tab, model) => {
  chosen[tab] = model;
  emit("reasons", null);
};
on("status", () => emit("reasons", null));

/** By strategy id. It is known for the loaded model alone: for another one, nothing is held against them.
 * @type {(tab: string) => Record<string, string>} */
export const reasonsFor = (tab) => {
  const { model, reasons } = modelStatus() ?? {};
  return reasons && (chosen[tab] ?? model?.id) === model?.id ? reasons : {};
};
