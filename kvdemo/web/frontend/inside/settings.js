// What the panels vary, and where the reader is: a layer, a head, a step, a panel. The address has it, so that a link leads back.
import { currentTab, setAddress } from "../shell/tabs.js";

/**
 * A setting that a panel varies (kvdemo/web/tabs/inside.py).
 * @typedef {{ link: string, default: number, low: number, high: number, label: string, about: string }} Varied
 */
/** Where the reader is: a panel, and a step of the first, from 1. @typedef {{ panel?: string, step?: number }} Place */

/** A text as a whole number within bounds, or null.
 * @type {(text: string | null, bounds: { low: number, high: number }) => number | null} */
const whole = (text, { low, high }) => {
  const number = Number(text);
  return text !== null && text !== "" && Number.isInteger(number) && number >= low && number <= high ? number : null;
};

export class Settings {
  /** @param {Record<string, Varied>} facts */
  constructor(facts) {
    this.facts = facts;
    const query = new URLSearchParams(currentTab() === "inside" ? location.search : "");
    /** @type {Record<string, number>} */
    this.values = {};
    for (const [key, fact] of Object.entries(facts)) this.values[key] = whole(query.get(fact.link), fact) ?? fact.default;
    /** Tokens that a race wrote already, in place of those that the model would write; [] for those. @type {number[]} */
    this.continuation = [];
    this.panel = query.get("panel");
    this.step = whole(query.get("step"), { low: 1, high: 1e6 });
  }

  /** Takes a value over, within its bounds; tells whether it changed.
   * @type {(key: string, value: number) => boolean} */
  set(key, value) {
    const { low, high } = this.facts[key];
    const kept = Math.min(high, Math.max(low, Math.round(value)));
    if (!Number.isFinite(kept) || kept === this.values[key]) return false;
    this.values[key] = kept;
    this.write();
    return true;
  }

  /** Where the reader is now.
   * @param {Place} place */
  at(place) {
    Object.assign(this, place);
    this.write();
  }

  /** All of it by its name in a link; null for what is as it would be anyway.
   * @returns {Record<string, string | null>} */
  get named() {
    const varied = Object.entries(this.facts).map(([key, { link, default: usual }]) => [
      link, this.values[key] === usual ? null : String(this.values[key])]);
    return { ...Object.fromEntries(varied), panel: this.panel, step: this.step === null ? null : String(this.step) };
  }

  write() { if (currentTab() === "inside") setAddress(this.named); }
}
