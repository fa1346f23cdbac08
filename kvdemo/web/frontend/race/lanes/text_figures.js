// What a lane's text is like so far, from its tokens alone (kvdemo/core/figures/text_metrics.py, with the formulas and sources).

/** The figures by what they are called in the document, where `definitions` has their names. */
export const FIGURES = /** @type {const} */ (["mean_logprob", "perplexity", "distinct_2", "repeated_4gram"]);

/** Sequences of so many ids: how many there were, and which. */
class Grams {
  /** @param {number} size */
  constructor(size) {
    this.size = size;
    this.count = 0;
    /** @type {Set<string>} */
    this.different = new Set();
  }

  /** @param {readonly number[]} newest the newest ids, the latest last */
  add(newest) {
    if (newest.length < this.size) return;
    this.count += 1;
    this.different.add(newest.slice(-this.size).join(" "));
  }

  /** The share of different ones; null without any. */
  get share() { return this.count ? this.different.size / this.count : null; }
}

/** Running figures of one text; each is null where it is undefined. */
export class TextFigures {
  #sum = 0;
  #count = 0;
  #known = true;
  #pairs = new Grams(2);
  #fours = new Grams(4);
  /** @type {number[]} */
  #newest = [];

  /** @type {(id: number, logprob: number | null) => void} */
  add(id, logprob) {
    this.#count += 1;
    this.#sum += logprob ?? Number.NaN;
    this.#known &&= id >= 0;
    this.#newest = [...this.#newest.slice(-3), id];
    this.#pairs.add(this.#newest);
    this.#fours.add(this.#newest);
  }

  get mean_logprob() { return this.#count && Number.isFinite(this.#sum) ? this.#sum / this.#count : null; }
  get perplexity() { return this.mean_logprob === null ? null : Math.exp(-this.mean_logprob); }
  get distinct_2() { return this.#known ? this.#pairs.share : null; }
  get repeated_4gram() {
    const different = this.#known ? this.#fours.share : null;
    return different === null ? null : 1 - different;
  }
}
