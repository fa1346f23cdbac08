// The findings of a verdict, sorted by the lane that they are about.

/**
 * Findings on all lanes, and a list for each lane that some are about.
 * @template {{ index: number }} Lane
 * @template {{ lanes: number[] }} Finding
 * @param {Finding[]} findings each names the lane that it is about first; none if about all
 * @param {Lane[]} lanes
 * @returns {{ general: Finding[], lanes: { lane: Lane, found: Finding[] }[] }}
 */
export const byLane = (findings, lanes) => {
  /** @param {number | undefined} index */
  const on = (index) => findings.filter(({ lanes: [about] }) => about === index);
  return { general: on(undefined), lanes: lanes.map((lane) => ({ lane, found: on(lane.index) })).filter(({ found }) => found.length) };
};
