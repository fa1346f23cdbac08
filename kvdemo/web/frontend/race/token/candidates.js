// Asks the server what a token was chosen from (`candidates` of kvdemo/web/backend.py). Nothing here draws.

/** @type {Map<string, Promise<CandidatesAnswer>>} */
const asked = new Map();

/** @type {(run: string, lane: number, token: number) => Promise<CandidatesAnswer>} */
const ask = async (run, lane, token) => {
  const answer = await fetch("gradio_api/run/candidates", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ data: [run, lane, token] }),
  });
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  return (await answer.json()).data[0];
};

/**
 * What a token of a race was chosen from: its lane, and its place in the lane's text from 0. Each is asked for once; what
 * fails is asked again. It is there once the token's line is.
 * @type {(run: string, lane: number, token: number) => Promise<CandidatesAnswer>}
 */
export const candidatesOf = (run, lane, token) => {
  const key = `${run} ${lane} ${token}`;
  const known = asked.get(key) ?? ask(run, lane, token);
  asked.set(key, known);
  known.catch(() => asked.delete(key));
  return known;
};

/**
 * The last distribution in parts, the likeliest first, each with its length; none where nothing is drawn. Those before the
 * chosen one are candidates, unless a token lies between them that is not among these.
 * @param {race.Candidates} found
 * @returns {{ length: number, chosen: boolean }[]}
 */
export const partsOf = ({ likeliest, chosen, drawn }) => {
  if (!drawn) return [];
  const [low, high] = drawn;
  const own = likeliest[chosen].probabilities.at(-1) ?? 0;
  const before = likeliest.filter((_, place) => place !== chosen).map(({ probabilities }) => probabilities.at(-1) ?? 0)
    .filter((p) => p > own).sort((a, b) => b - a);
  const gap = low - before.reduce((sum, p) => sum + p, 0);
  const parts = Math.abs(gap) < 1e-4 ? before : [low];
  return [...parts.map((length) => ({ length, chosen: false })), { length: high - low, chosen: true }, { length: 1 - high, chosen: false }]
    .filter(({ length }) => length > 0);
};
