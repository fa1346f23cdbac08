// Questions to the server about a form: put when it has come to rest, one at a time, and only while its tab is open.
import { emit, on } from "../base/bus.js";
import { currentTab } from "../shell/tabs.js";

const REST = 300;
/** By tab. @type {Map<string, Asker>} */
const askers = new Map();

class Asker {
  /**
   * @param {string} tab
   * @param {() => void} put
   */
  constructor(tab, put) {
    this.tab = tab;
    this.put = put;
    this.wanted = true;
    this.running = false;
    this.again = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** Asks soon; in a tab that is not open, when it is opened. */
  want(wait = REST) {
    this.wanted = true;
    clearTimeout(this.timer);
    if (currentTab() !== this.tab) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.wanted = false;
      this.again = this.running;
      this.running = true;
      emit("asking", { tab: this.tab, busy: true });
      this.put();
    }, wait);
  }

  /**
   * Asks later what the server put off, unless the form has changed and is asked about before.
   * @param {number} wait
   */
  wantAgain(wait) {
    if (this.timer === undefined) this.want(wait);
  }

  /** The server has answered. What was asked meanwhile it is asked once more, for the form as it is then. */
  answered() {
    this.running = this.again;
    this.again = false;
    emit("asking", { tab: this.tab, busy: this.running });
  }
}

/** An element without a look (kvdemo/web/components/follow.py): `put` sends the form.
 * @type {DrawElement<string, { tab: string, onModel: boolean, onEnd: boolean }>} */
export const drawAsker = (_element, _props, _watch, put, { tab, onModel, onEnd }) => {
  const asker = new Asker(tab, put);
  askers.set(tab, asker);
  on("tab", () => asker.wanted && asker.want(0));
  if (onModel) on("status", ({ state }) => state !== "loading" && asker.want());
  if (onEnd) on("settled", (ended) => ended === tab && asker.want());
  asker.want(onModel ? REST : 0);
};
/** An element without a look (kvdemo/web/components/again.py): its value changes when the server has put off an answer.
 * @type {DrawElement<number, { tab: string, seconds: number }>} */
export const drawAgain = (_element, _props, watch, _fire, { tab, seconds }) =>
  watch("value", () => askers.get(tab)?.wantAgain(1000 * seconds));
/** @param {string} tab */
export const ask = (tab) => askers.get(tab)?.want();
/** @param {string} tab */
export const answered = (tab) => askers.get(tab)?.answered();
