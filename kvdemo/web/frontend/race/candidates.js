// Asks the server what a token was chosen from (`candidates` of kvdemo/web/backend.py). Nothing here draws.

/** What the card explains, by the definitions' keys. */
export const TERMS = /** @type {const} */ (["entropy", "survivors"]);

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
