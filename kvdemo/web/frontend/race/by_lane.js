// The findings of a verdict, sorted by the lane that they are about.

/**
 * Findings in words: those on all lanes, and a list for each lane that some are about.
 * @template {{ index: number }} Lane
 * @param {{ lanes: number[], text: string }[]} findings each names the lane that it is about first; none if about all
 * @param {Lane[]} lanes
 * @returns {{ general: string[], lanes: { lane: Lane, said: string[] }[] }}
 */
export const byLane = (findings, lanes) => {
  /** @param {number | undefined} index */
  const on = (index) => findings.filter(({ lanes: [about] }) => about === index).map(({ text }) => text);
  return { general: on(undefined), lanes: lanes.map((lane) => ({ lane, said: on(lane.index) })).filter(({ said }) => said.length) };
};
