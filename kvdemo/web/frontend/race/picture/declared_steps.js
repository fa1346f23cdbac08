// The first steps of a strategy, as it declares them (kvdemo/core/picture.py) and as its settings are: rows to draw
// before anything has run. Nothing here knows a strategy by its id, and no number is made up: the prompt has no length yet.

/**
 * A run of equal positions. Drawn as `cells` cells, or as one wide cell with a text.
 * @typedef {object} Piece
 * @property {string} kind computed, read, fetched, packed, dropped, drafted, rejected or room
 * @property {number} [cells]
 * @property {string} [text]
 * @property {number} [size] how high a cell is, as a share of a full one
 * @property {number} [share] how wide it is, as a share of the prompt's column
 */

/**
 * A step: its name, the pieces of the prompt and those behind it, how many rows of them run side by side, and what the
 * step computes. A row without pieces stands for steps that are left out.
 * @typedef {object} Row
 * @property {string} label
 * @property {Piece[]} prompt
 * @property {Piece[]} rest
 * @property {number} [lines]
 * @property {boolean} [branches] whether the lines are texts that may take each other's place
 * @property {string} computes
 */

/**
 * @typedef {object} Declared
 * @property {Row[]} rows
 * @property {string} said what the rows show, in a sentence
 * @property {string} [sum] what n tokens cost, as a formula
 */

/** @typedef {{ picture: core.Picture, number: (name: string) => number, word: (name: string) => string, full: number | null, rows: number, branches: boolean, draws: boolean, once: boolean, resumes: boolean }} Asked */

const STEPS = 5;
/** More cells than these are folded into one. */
const APART = 10;

/** What stands in the cache, by what is kept. */
export const HELD = { nothing: "read", all: "read", reserved: "read", window: "read", packed: "packed", host: "fetched", elsewhere: "read" };
/** The format of a model's numbers in bits. @type {Record<string, number>} */
const BITS = { float32: 32, bfloat16: 16, float16: 16 };

/** @type {(kind: string, count: number, more?: Partial<Piece>) => Piece[]} */
const cells = (kind, count, more = {}) => (count > 0 ? [{ kind, cells: count, ...more }] : []);
/** @type {(kind: string, count: number, text: string, most?: number) => Piece[]} */
const folded = (kind, count, text, most = APART) => (count > most ? [{ kind, text }] : cells(kind, count));
/** @type {(count: number, noun: string) => string} */
const several = (count, noun) => `${count.toLocaleString("en-US")} ${noun}${count === 1 ? "" : "s"}`;
const GAP = { label: "⋮", prompt: [], rest: [], computes: "" };
/** A formula, which no end of a line may cut.
 * @param {string} formula */
const whole = (formula) => formula.replaceAll(" ", "\u00a0");
/** @param {number} step */
const label = (step) => `step ${step + 1}`;

/** The prompt of the first step, of which a part may have been left by the run before.
 * @type {(asked: Asked) => Piece[]} */
const prefill = ({ resumes }) => (resumes
  ? [{ kind: "read", text: "kept", share: 0.5 }, { kind: "computed", text: "new", share: 0.5 }] : [{ kind: "computed" }]);

/** @type {() => Declared} */
const again = () => ({
  rows: Array.from({ length: STEPS }, (_, step) => ({
    label: label(step), prompt: [{ kind: "computed" }], rest: cells("computed", step), computes: step ? `P + ${step}` : "P",
  })),
  said: "Every step computes every position again.",
  sum: `n tokens after a prompt of P compute ${whole("n·P + n(n − 1)/2")} positions.`,
});

/**
 * What is special about how the past is kept: a sentence, whether there is room behind it, how high a piece of it is, and
 * how many of the newest are apart.
 * @typedef {{ said: string, room?: boolean, size?: number, late?: number }} Keeping
 */

/** @type {Record<string, (asked: Asked) => Keeping>} */
const KEEPING = {
  all: ({ resumes }) => ({ said: resumes
    ? "What the prompt has in common with the run before is read, not computed. Each later step computes one position."
    : "After the prompt, a step computes one position and reads the others." }),
  reserved: () => ({ room: true, said: "Room for the whole answer is taken at the start. Each step fills one place of it and reads those before." }),
  host: () => ({ said: "After the prompt, a step computes one position. It fetches the others from main memory, layer by layer." }),
  packed: ({ picture, word, full }) => {
    const format = word(picture.packing);
    const bits = picture.bits[format];
    const apart = picture.in_full[format] ?? 0;
    const late = apart ? ` The newest, up to ${apart}, wait in full.` : "";
    return { size: bits && full ? Math.min(1, bits / full) : 1, late: apart,
      said: `After the prompt, a step computes one position and reads the others, kept in ${bits ?? "fewer"} bits${full ? ` in place of ${full}` : ""}.${late}` };
  },
};

/** @type {(asked: Asked) => Declared} */
const newest = (asked) => {
  const { picture, rows, branches, draws, once } = asked;
  if (picture.keeps === "window") return windowed(asked);
  const { said, room = false, size = 1, late = 0 } = KEEPING[picture.keeps]?.(asked) ?? { said: "" };
  const kind = HELD[picture.keeps];
  const steps = Array.from({ length: STEPS }, (_, step) => ({
    label: label(step),
    prompt: step ? [{ kind, size }] : prefill(asked),
    rest: [
      ...cells(late ? "read" : kind, step - 1, late ? {} : { size }), ...cells("computed", step ? 1 : 0),
      ...(room ? cells("room", STEPS - 1 - step) : []),
    ],
    lines: once && !step ? 1 : rows,
    branches: branches && !draws,
    computes: rows === 1 ? (step ? "1" : "P") : step ? `${rows} × 1` : branches ? "P" : once ? `P + ${rows}` : `${rows} × P`,
  }));
  if (branches) {
    return { rows: steps, sum: `n tokens after a prompt of P compute ${whole(`P + (n − 1)·${rows}`)} positions.`,
      said: `The prompt is computed once. Then ${rows} texts go on side by side: ${draws ? "each is drawn on its own" : `of all that may follow, ${rows} stay`}, each with a cache of its own.` };
  }
  const sum = once ? `n tokens after a prompt of P compute ${whole(`P + n·${rows}`)} positions.` : rows > 1 ? `n tokens of ${rows} rows after a prompt of P compute ${whole(`${rows}·(P + n − 1)`)} positions.` : `n tokens after a prompt of P compute ${whole("P + n − 1")} positions.`;
  return { rows: steps, said: rows > 1 ? `${several(rows, "row")} go through the model in one pass, each with keys and values of its own.` : said, sum: asked.resumes ? undefined : sum };
};

/** @type {(asked: Asked) => Declared} */
const windowed = ({ picture, number }) => {
  const kept = number(picture.window);
  const sinks = number(picture.sinks);
  const first = sinks ? [{ kind: "read", text: `first ${sinks}`, share: 0.55 }] : [];
  /** @type {(name: string, dropped: number) => Row} */
  const full = (name, dropped) => ({
    label: name,
    prompt: [...first, { kind: "dropped", share: sinks ? 0.45 : 1 }],
    rest: [...cells("dropped", dropped), ...folded("read", kept - 1, `latest ${(kept - 1).toLocaleString("en-US")}`, 6), ...cells("computed", 1)],
    computes: "1",
  });
  const start = [0, 1, 2].map((step) => ({
    label: label(step), prompt: [{ kind: step ? "read" : "computed" }], rest: [...cells("read", step - 1), ...cells("computed", step ? 1 : 0)],
    computes: step ? "1" : "P",
  }));
  const room = (sinks + kept).toLocaleString("en-US");
  return {
    rows: [...start, GAP, full("full", 1), full("later", 2)],
    said: `Once the text is longer than ${sinks ? `${sinks} + ${kept.toLocaleString("en-US")} = ` : ""}${room} positions, each new one pushes out the oldest behind the first ${sinks}.`
      .replace(" behind the first 0.", "."),
    sum: `n tokens after a prompt of P compute ${whole("P + n − 1")} positions, however many are dropped.`,
  };
};

/** @type {(asked: Asked) => Declared} */
const drafted = ({ picture, number }) => {
  const most = number(picture.draft);
  const kind = HELD[picture.keeps];
  const guess = folded("drafted", most, `${most} drafted`);
  /** @type {(name: string, before: Piece[]) => Row} */
  const behind = (name, before) => ({
    label: name, prompt: [{ kind }], rest: [...before, ...cells("computed", 1), ...guess], computes: `1 + ${most}`,
  });
  return {
    rows: [
      { label: label(0), prompt: [{ kind: "computed" }], rest: [], computes: "P" },
      behind(label(1), []),
      behind("none right", cells(kind, 1)),
      behind("all right", folded(kind, most + 1, `${most + 1} kept`)),
    ],
    said: `A step drafts up to ${several(most, "token")} and checks them in one pass with the newest. Right ones stay, and one more comes on top; wrong ones are cut off again.`,
  };
};

/** What is drawn, by what a step computes. */
const DRAWN = {
  all: again,
  new: newest,
  drafted,
  elsewhere: () => ({ rows: [], said: "Another machine decodes: its steps are not known here." }),
};

/** The values of a picture that are drawn here, for the test that holds them against Python's. */
export const drawable = { computes: Object.keys(DRAWN), keeps: Object.keys(HELD) };

/**
 * The first steps of a strategy whose settings are `values`, as they were written; null where it declares none. `dtype` is
 * the number format of the model, if one is known.
 * @param {Partial<core.StrategyInfo>} strategy
 * @param {Record<string, string>} values
 * @param {string} [dtype]
 * @returns {Declared | null}
 */
export const declared = (strategy, values, dtype = "") => {
  const { picture, options = {} } = strategy;
  if (!picture || !(picture.computes in DRAWN) || !(picture.keeps in HELD)) return null;
  /** @param {string} name */
  const number = (name) => {
    const { default: usual, low = 0, high = Infinity } = options[name] ?? { default: 1 };
    const asked = Number(values[name] === "" ? usual : values[name] ?? usual);
    return Number.isInteger(asked) && asked >= low && asked <= high ? asked : Number(usual);
  };
  /** @param {string} name */
  const word = (name) => String(values[name] || options[name]?.default);
  return DRAWN[picture.computes]({
    picture, number, word, full: BITS[dtype] ?? null, branches: Boolean(strategy.searches), draws: Boolean(strategy.samples), once: Boolean(strategy.prefills_once), resumes: Boolean(strategy.keeps_prefix),
    rows: strategy.rows_from ? number(strategy.rows_from) : 1,
  });
};
