// What lanes may be: the strategies and the samplers on offer. The race's lane picker brings them, once for the whole page.

/**
 * @typedef {core.StrategyInfo & OfferedStrategy} ListedStrategy
 * @typedef {{ strategies: ListedStrategy[], samplers: OfferedSampler[] }} Offers
 */

/** @type {Offers | null} */
let known = null;
/** @type {((offers: Offers) => void)[]} */
const waiting = [];

/** @param {Offers} offers */
export const takeOffers = (offers) => {
  known = offers;
  for (const go of waiting.splice(0)) go(offers);
};

/** Calls back with what is on offer: at once, unless an element is drawn before the one that brings it.
 * @param {(offers: Offers) => void} go */
export const withOffers = (go) => {
  if (known) go(known);
  else waiting.push(go);
};
