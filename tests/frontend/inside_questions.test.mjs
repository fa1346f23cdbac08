// What is asked of the server: one panel at a time, and again only when something on which it depends has changed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Questions } from "../../kvdemo/web/frontend/inside/questions.js";

/** Questions with a server that a test plays. */
const begin = () => {
  const log = { fired: 0, stopped: 0, busy: false, answers: [] };
  const varied = { layer: 0 };
  const questions = new Questions({ keys: ["prompt", "append"], varied, fire: () => { log.fired += 1; }, stop: () => { log.stopped += 1; questions.stop(); },
    busy: (busy) => { log.busy = busy; } });
  for (const [name, form, own] of [["steps", ["prompt"], []], ["past", ["prompt", "append"], []], ["roles", ["prompt"], ["layer"]]]) {
    questions.add(name, { form, varied: own, take: ({ state }) => log.answers.push(`${name} ${state}`) });
  }
  questions.ready = true;
  const put = (...values) => JSON.parse(questions.question([...values, ""]).at(-1));
  const answer = (panels, more = {}) => {
    questions.take({ asked: questions.number, over: true, error: null, answer: JSON.stringify({ panels }), ...more });
    questions.answered();
  };
  return { questions, log, varied, put, answer };
};

test("questions are sent one at a time, in the order in which panels came into view", () => {
  const { questions, log, put, answer } = begin();
  questions.want("steps");
  questions.want("past");
  assert.equal(log.fired, 1);
  assert.deepEqual(put("Hi", " dog"), { panels: ["steps"], asked: 1 });
  answer({ steps: {} });
  assert.equal(log.fired, 2);
  assert.deepEqual(put("Hi", " dog").panels, ["past"]);
  answer({ past: {} });
  assert.equal(log.fired, 2);
  assert.equal(log.busy, false);
  assert.deepEqual(log.answers, ["steps working", "steps shown", "past working", "past shown"]);
});

test("an answer is kept until what it depends on changes", () => {
  const { questions, log, put, answer } = begin();
  questions.want("steps");
  put("Hi", " dog");
  answer({ steps: {} });
  questions.change(["Hi", " cat"]);
  assert.equal(log.fired, 1);
  questions.change(["Ho", " cat"]);
  assert.equal(log.fired, 2);
  assert.deepEqual(log.answers.slice(2), ["steps stale", "steps working"]);
});

test("a panel's own setting is sent, and a change of it asks again", () => {
  const { questions, log, varied, put, answer } = begin();
  questions.want("roles");
  assert.deepEqual(put("Hi", ""), { layer: 0, panels: ["roles"], asked: 1 });
  answer({ roles: {} });
  varied.layer = 5;
  questions.vary();
  assert.equal(log.fired, 2);
  assert.equal(put("Hi", "").layer, 5);
});

test("a change of the form ends the old run and asks with the new form", () => {
  const { questions, log, put, answer } = begin();
  questions.want("steps");
  put("Hi", "");
  questions.change(["Hi, you", ""]);
  assert.equal(log.stopped, 1);
  answer({});
  assert.equal(log.fired, 2);
  assert.equal(log.answers.at(-1), "steps working");
});

test("a Stop sent before the run began is sent once more", () => {
  const { questions, log, put, answer } = begin();
  questions.want("steps");
  questions.want("past");
  put("Hi", "");
  questions.stop();
  const state = { asked: questions.number, over: false, text: "Waiting", answer: null };
  questions.take(state);
  questions.take(state);
  assert.equal(log.stopped, 1);
  answer({});
  assert.equal(log.fired, 1); // the reader stopped: the next panel is not asked
});

test("a run stopped by a change before it began is stopped once more, and the new text is sent", () => {
  const { questions, log, put, answer } = begin();
  questions.want("steps");
  put("Hi", "");
  questions.change(["Hi, you", ""]);
  questions.take({ asked: questions.number, over: false, text: "Waiting", answer: null });
  assert.equal(log.stopped, 2);
  answer({});
  assert.equal(log.fired, 2);
});

test("after Stop nothing is asked until the reader asks", () => {
  const { questions, log, put, answer } = begin();
  questions.want("steps");
  put("Hi", "");
  questions.stop();
  questions.want("past");
  answer({});
  assert.equal(log.fired, 1);
  assert.equal(log.answers.at(-1), "steps stopped");
  questions.show(["steps", "past"]);
  assert.equal(log.fired, 2);
});

test("an error is shown in its panel, which is not asked again by itself", () => {
  const { questions, log, put, answer } = begin();
  questions.want("steps");
  put("", "");
  answer({}, { answer: null, error: "The text is empty." });
  assert.equal(log.answers.at(-1), "steps error");
  assert.equal(log.fired, 1);
});

test("a panel that cannot be shown counts as answered", () => {
  const { questions, log, put, answer } = begin();
  questions.want("past");
  put("Hi", "");
  answer({ past: { cannot: "It has no layers." } });
  assert.equal(log.answers.at(-1), "past cannot");
  questions.want("past");
  assert.equal(log.fired, 1);
});

test("an answer to an older question is ignored", () => {
  const { questions, log, put } = begin();
  questions.want("steps");
  put("Hi", "");
  questions.take({ asked: 99, over: true, error: null, answer: JSON.stringify({ panels: { steps: {} } }) });
  assert.deepEqual(log.answers, ["steps working"]);
});

test("attention weights are asked for over the tokens of the steps while these belong to the form", () => {
  const { questions, put, answer } = begin();
  questions.add("attention", { form: ["prompt", "max_new_tokens"], varied: ["layer"], take: () => {} });
  questions.want("steps");
  put("Hi", "");
  answer({ steps: { tokens: [1, 2, 7, 8], prompt_tokens: 2 } });
  questions.want("attention");
  assert.deepEqual(put("Hi", "").continuation, [7, 8]);
  answer({ attention: {} });
  questions.want("steps", false);
  questions.change(["Ho", ""]);
  assert.equal(put("Ho", "").continuation, undefined);
});
