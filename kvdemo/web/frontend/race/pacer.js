// Draws what costs too much to be drawn with everything that comes: no more often than its owner says, and for a small
// share of the time. It waits for what comes after that, so that both share a frame: each frame is laid out and painted,
// whatever it shows.

/** The longest time between two arrivals of a race whose steps are short, in milliseconds (kvdemo/server/run_events/race_feed.py). */
const ARRIVAL = 260;

export class Pacer {
  /** When it drew last, and what drawing has cost lately, in milliseconds. */
  last = 0;
  cost = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  timer = undefined;

  /**
   * @param {() => boolean | void} draw false where it could not
   * @param {{ interval: number, longest: number, share: number }} pace no more often than the interval, and for this
   * share of the time as long as that is as often as the longest, in milliseconds
   */
  constructor(draw, { interval, longest, share }) {
    this.draw = draw;
    this.interval = interval;
    this.longest = longest;
    this.share = share;
  }

  /** Draws now if it must, else when the last drawing has been paid off. */
  ask(now = false) {
    clearTimeout(this.timer);
    const pause = Math.max(this.interval, Math.min(this.longest, this.cost / this.share));
    const wait = this.last + pause - performance.now();
    if (!now && wait > 0) {
      this.timer = setTimeout(() => this.ask(true), wait + ARRIVAL);
      return;
    }
    const begin = performance.now();
    const first = !this.last;
    if (this.draw() === false) return;
    this.last = performance.now();
    if (!first) this.cost = 0.7 * this.cost + 0.3 * (this.last - begin);
  }
}
