// Where the browser's half begins: the elements by the names that kvdemo/web/components/element.py has for them,
// and what the page's inline scripts may tell. What was asked before this file had loaded (early.js) is done first.
import { on } from "./base/bus.js";
import { given } from "./base/event_data.js";
import { late } from "./base/lazy_scripts.js";
import { insideActions, measureActions, raceActions } from "./form/actions.js";
import { drawChips, pressPreset } from "./form/chips.js";
import { answered, ask, drawAgain, drawAsker } from "./form/follow.js";
import { drawLanePicker } from "./form/lane_picker.js";
import { arrived, drawKeeper, keep } from "./form/keeper.js";
import { chooseModel } from "./form/reasons.js";
import { drawStage } from "./race/stage.js";
import { drawHeader } from "./shell/header.js";
import { columnsToShow, drawMounter } from "./shell/mounter.js";

/** The functions that draw, by name. @type {Record<string, Drawing>} */
const ELEMENTS = {
  again: drawAgain, asker: drawAsker, chips: drawChips, header: drawHeader, keeper: drawKeeper, lanePicker: drawLanePicker,
  mounter: drawMounter, stage: drawStage,
};
const inside = async () => await import("./inside/view.js");
/** Those of the tabs that are not open at first: fetched when they are. @type {Record<string, () => Promise<Drawing>>} */
const FETCHED = {
  compare: async () => (await import("./compare/view.js")).drawComparison,
  fileNote: async () => (await import("./compare/view.js")).drawFileNote,
  handedOver: async () => (await inside()).drawHandedOver,
  inside: async () => (await inside()).drawInside,
  line: async () => (await import("./form/line.js")).drawLine,
  measure: async () => (await import("./measure/view.js")).drawMeasurement,
  plan: async () => (await import("./plan/view.js")).drawPlan,
};

/** @type {Record<string, import("./form/actions.js").Actions>} */
const ACTIONS = { race: raceActions, measure: measureActions, inside: insideActions };
/** @type {Record<string, (...details: never[]) => unknown>} */
const MESSAGES = {
  answered,
  arrived,
  answeredInside: async () => (await late(inside))?.answeredInside(),
  ask,
  changeInside: async (/** @type {never} */ values) => (await late(inside))?.changeInside(values),
  chooseModel,
  columnsToShow,
  keep,
  pressPreset,
  share: async (/** @type {Parameters<typeof import("./form/share.js").share>} */ ...what) => (await late(async () => await import("./form/share.js")))?.share(...what),
  shareInside: async (/** @type {never} */ about, /** @type {never} */ values) => (await late(inside))?.shareInside(about, values),
  showInside: async () => (await late(inside))?.showInside(),
  stopInside: async () => (await late(inside))?.stopInside(),
  busy: (/** @type {string} */ tab, /** @type {boolean} */ running) => ACTIONS[tab].busy(running),
  stopping: (/** @type {string} */ tab) => ACTIONS[tab].stopping(),
  showQuestion: () => raceActions.showQuestion(),
};

/** @type {Kvdemo["draw"]} */
const draw = async (name, ...how) => {
  const drawing = ELEMENTS[name] ?? await late(FETCHED[name], () => draw(name, ...how));
  return drawing?.(...how);
};
/** @type {Kvdemo["tell"]} */
const tell = (message, ...details) => MESSAGES[message](...details);

on("why", async (asked) => (await late(inside))?.explain(asked));

const { kvdemo } = window;
Object.assign(kvdemo, { draw, tell, given });
for (const act of kvdemo.early.splice(0)) act();
