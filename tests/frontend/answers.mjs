// Answers what Python asks about generated cases (tests/frontend/test_generated.py): JSON in, JSON out.
import { readFileSync } from "node:fs";
import { format } from "../../kvdemo/web/frontend/base/format.js";
import { readSpecs, specName, writeSpecs } from "../../kvdemo/web/frontend/base/lane_spec.js";
import { evaluate } from "../../kvdemo/web/frontend/inside/drawing/scale.js";
import { TextFigures } from "../../kvdemo/web/frontend/race/lanes/text_figures.js";
import { Race } from "../../kvdemo/web/frontend/race/wire.js";

const FIGURES = ["seconds", "ttft", "tpot", "rate", "level", "positions"];

const ANSWERS = {
  numbers: ([kind, value]) => format[kind](value),

  specs: ({ strategy, text }) => {
    const lanes = readSpecs(text);
    return {
      lanes: lanes.map(({ id, values }) => [id, values]),
      written: writeSpecs(lanes, new Map([[strategy.id, strategy]])),
      names: lanes.map(({ values }) => specName(strategy, values)),
    };
  },

  texts: (tokens) => {
    const figures = new TextFigures();
    for (const [id, logprob] of tokens) figures.add(id, logprob);
    return [figures.mean_logprob, figures.perplexity, figures.distinct_2, figures.repeated_4gram];
  },

  races: (lines) => {
    const race = new Race("run");
    for (const line of lines) race.feed(line);
    return {
      lanes: race.lanes.map((lane) => ({
        figures: FIGURES.map((name) => lane[name]),
        tokens: lane.tokens.map(({ id, text, written, logprob, entropy, seconds }) => [id, text, written, logprob, entropy, seconds]),
        passes: lane.passes.map(({ rows, positions, context, rejected }) => [rows, positions, context, rejected]),
      })),
      speedup: race.speedup(race.lanes[1])?.times ?? null,
    };
  },

  terms: ([terms, batch, length]) => evaluate(terms, batch, length),
};

const asked = JSON.parse(readFileSync(0, "utf8"));
const answered = Object.entries(asked).map(([kind, questions]) => [kind, questions.map((one) => ANSWERS[kind](one))]);
process.stdout.write(JSON.stringify(Object.fromEntries(answered)));
