// Where the browser's half begins: the elements by the names that kvdemo/web/components/element.py has for them,
// and what the page's inline scripts may tell. What was asked before this file had loaded (early.js) is done first.
import { given } from "./base/given.js";
import { drawComparison, drawFileNote } from "./compare/view.js";
import { insideActions, measureActions, raceActions } from "./form/actions.js";
import { drawChips, pressPreset } from "./form/chips.js";
import { answered, ask, drawAsker } from "./form/follow.js";
import { drawLanePicker } from "./form/lane_picker.js";
import { drawLine } from "./form/line.js";
import { chooseModel } from "./form/reasons.js";
import { share } from "./form/share.js";
import { answeredInside, changeInside, drawHandedOver, drawInside, shareInside, showInside, stopInside } from "./inside/view.js";
import { drawMeasurement } from "./measure/view.js";
import { drawPlan } from "./plan/view.js";
import { drawStage } from "./race/stage.js";
import { drawHeader } from "./shell/header.js";
import { columnsToShow, drawMounter } from "./shell/mounter.js";

/** The functions that draw, by name. @type {Record<string, Drawing>} */
const ELEMENTS = {
  asker: drawAsker, chips: drawChips, compare: drawComparison, fileNote: drawFileNote, handedOver: drawHandedOver, header: drawHeader,
  inside: drawInside,
  lanePicker: drawLanePicker, line: drawLine, measure: drawMeasurement, mounter: drawMounter, plan: drawPlan, stage: drawStage,
};

/** @type {Record<string, import("./form/actions.js").Actions>} */
const ACTIONS = { race: raceActions, measure: measureActions, inside: insideActions };
/** @type {Record<string, (...details: never[]) => unknown>} */
const MESSAGES = {
  answered,
  answeredInside,
  ask,
  changeInside,
  chooseModel,
  columnsToShow,
  pressPreset,
  share,
  shareInside,
  showInside,
  stopInside,
  busy: (/** @type {string} */ tab, /** @type {boolean} */ running) => ACTIONS[tab].busy(running),
  stopping: (/** @type {string} */ tab) => ACTIONS[tab].stopping(),
  showQuestion: () => raceActions.showQuestion(),
};

/** @type {Kvdemo["draw"]} */
const draw = (name, ...how) => ELEMENTS[name](...how);
/** @type {Kvdemo["tell"]} */
const tell = (message, ...details) => MESSAGES[message](...details);

const { kvdemo } = window;
Object.assign(kvdemo, { draw, tell, given });
for (const act of kvdemo.early.splice(0)) act();
