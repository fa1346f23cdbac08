// Why strategies cannot run on the model that a form holds.
import { emit, on } from "../base/bus.js";
import { modelStatus } from "../base/status.js";

/** The model that each tab's form holds. */
const chosen = {};

export const chooseModel = (tab, model) => {
  chosen[tab] = model;
  emit("reasons");
};
on("status", () => emit("reasons"));

/** By strategy id. It is known for the loaded model alone: for another one, nothing is held against them. */
export const reasonsFor = (tab) => {
  const { model, reasons } = modelStatus() ?? {};
  return reasons && (chosen[tab] ?? model?.id) === model?.id ? reasons : {};
};
