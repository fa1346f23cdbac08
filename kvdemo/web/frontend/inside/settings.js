// What the panels vary, and where the reader is: a layer, a head, a step, a panel. The address has it, so that a link leads back.
import { currentTab, setAddress } from "../shell/tabs.js";

const whole = (text, { low, high }) => {
  const number = Number(text);
  return text !== null && text !== "" && Number.isInteger(number) && number >= low && number <= high ? number : null;
};

export class Settings {
  /** @param {Record<string, { link: string, default: number, low: number, high: number, label: string, about: string }>} facts */
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

  /** Takes a value over, within its bounds; tells whether it changed. */
  set(key, value) {
    const { low, high } = this.facts[key];
    const kept = Math.min(high, Math.max(low, Math.round(value)));
    if (!Number.isFinite(kept) || kept === this.values[key]) return false;
    this.values[key] = kept;
    this.write();
    return true;
  }

  /** Where the reader is now. */
  at(place) {
    Object.assign(this, place);
    this.write();
  }

  /** All of it by its name in a link; null for what is as it would be anyway. */
  get named() {
    const varied = Object.entries(this.facts).map(([key, { link, default: usual }]) => [
      link, this.values[key] === usual ? null : String(this.values[key])]);
    return { ...Object.fromEntries(varied), panel: this.panel, step: this.step === null ? null : String(this.step) };
  }

  write() { if (currentTab() === "inside") setAddress(this.named); }
}
