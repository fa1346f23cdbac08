// Draws a race on the stage: reads what Gradio appended to the value, keeps the race, and lets the parts draw themselves.
import { emit } from "../base/bus.js";
import { write } from "../base/dom.js";
import { format } from "../base/format.js";
import { definitions } from "../base/explain/terms.js";
import { nextFrame } from "../shell/idle.js";
import { Beams } from "./beams/figure.js";
import { RaceChart } from "./chart.js";
import { HEAT_LEVELS, heatLimit } from "./lanes/heat.js";
import { markedStep, unmark } from "./marked_step.js";
import { LanePicture } from "./picture/lane_picture.js";
import { Predict } from "./predict/predict.js";
import { RunningLane } from "./lanes/running_lane.js";
import { tokenCard } from "./token/token_card.js";
import { Verdict } from "./verdict/verdict.js";
import { Race } from "./wire.js";

export class RaceView {
  /** @type {Race | null} */
  race = null;
  /** The frame that is asked for. @type {number | null} */
  frame = null;
  /** All that came of the race, and how far it is read. @type {string[]} */
  sheets = [];
  sheet = 0;
  read = 0;
  opening = "";
  /** The lanes of the race that is on the stage; none while lanes are previewed. @type {RunningLane[]} */
  cards = [];
  /** @type {LanePicture[]} */
  pictures = [];
  scale = Infinity;

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.verdict = new Verdict(stage.strip, stage.useTokens);
    this.chart = new RaceChart(definitions);
    this.predict = new Predict(this.chart);
    this.beams = new Beams();
    stage.room.replaceWith(this.chart.element);
    stage.root.append(this.beams.element);
    this.await(stage.picked);
  }

  /** Names the lanes that have yet to run.
   * @param {{ name: string }[]} lanes */
  await(lanes) {
    this.cards = [];
    this.pictures = [];
    if (!this.chart.race) this.chart.name(lanes); // else it shows an earlier race, under its own names
    this.predict.name(lanes.map(({ name }) => name));
  }

  /** Takes in the sheets: what was not read already, or all of it if a new race began. `before`: it is a race of an
   * earlier server, and over.
   * @param {string[]} sheets */
  take(sheets, before = false) {
    const opening = sheets.length ? sheets[0].slice(0, sheets[0].indexOf("\n") + 1) : "";
    if (!opening) return;
    if (opening !== this.opening || !(sheets[this.sheet]?.length >= this.read)) {
      Object.assign(this, { opening, sheet: 0, read: opening.length });
      this.race = new Race(opening.slice(2, -1), before);
      if (!before) emit("began", "race");
    }
    this.sheets = [...sheets]; // Gradio may empty a list that it has handed over
    const { race } = this;
    if (!race) return;
    const began = race.lanes.length;
    this.#read(race, sheets[this.sheet]);
    while (this.sheet < sheets.length - 1) {
      this.sheet += 1;
      this.read = 0;
      this.#read(race, sheets[this.sheet]);
    }
    if (!began && race.lanes.length) this.#begin(race);
    this.#schedule();
  }

  /** The lines of a sheet that have come since it was read last.
   * @type {(race: Race, text: string) => void} */
  #read(race, text) {
    const end = text.lastIndexOf("\n") + 1;
    for (const line of text.slice(this.read, end).split("\n")) if (line) race.feed(line);
    this.read = Math.max(this.read, end);
  }

  /** @param {Race} race */
  #begin(race) {
    const { stage } = this;
    tokenCard().hide();
    unmark();
    this.scale = Infinity;
    const declared = new Map(stage.facts.strategies.map(({ id, picture }) => [id, picture]));
    this.pictures = race.lanes.map((lane, index) => new LanePicture(lane, index, declared.get(lane.strategy)));
    this.cards = race.lanes.map((lane, index) => new RunningLane(lane, index, definitions, this.pictures[index].element));
    stage.lay(this.cards);
    stage.introduction.besides(false);
    this.predict.name(race.lanes.map(({ name }) => name));
    if (!race.before) emit("model", race.start.model);
  }

  /** One drawing a frame, however many values arrived; a hidden tab draws when it comes back. */
  #schedule() {
    if (this.frame) return;
    this.frame = nextFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  draw() {
    const { race } = this;
    if (!race) return;
    const { root } = this.stage;
    root.dataset.phase = race.phase;
    root.toggleAttribute("data-stale", race.phase === "refused" && !race.lanes.length && this.cards.length > 0);
    this.verdict.update(race);
    if (!race.lanes.length) return;
    this.#rescale(race);
    for (const [i, card] of this.cards.entries()) card.update(race, race.lanes[i], this.scale);
    for (const lane of race.lanes) if (lane.divergence) this.cards[0].mark(lane.divergence.index);
    for (const [i, picture] of this.pictures.entries()) picture.update(race, race.lanes[i]);
    this.chart.show(race);
    if (race.phase === "finished") this.predict.finish(race);
    this.beams.show(race);
    for (const card of this.cards) card.scroll();
  }

  /** Shows the marked step in texts, pictures and chart. */
  point() {
    const marked = markedStep();
    for (const part of [...this.cards, ...this.pictures, this.chart]) part.point(marked);
  }

  /** Draws the pictures in the colours of the theme. */
  recolor() { for (const picture of this.pictures) picture.recolor(); }

  /** Follows the fastest step. A gain of under a twelfth would change no colour, and is not worth repainting.
   * @param {Race} race */
  #rescale({ fastest }) {
    if (!(fastest < this.scale / 1.08)) return;
    this.scale = fastest;
    for (const card of this.cards) card.recolor(fastest);
    write(this.stage.limits[0], format.seconds(fastest));
    write(this.stage.limits[1], `${format.seconds(heatLimit(fastest, HEAT_LEVELS - 1))} or more`);
  }

  /** A race that did not say itself that it is over was cut off. */
  settle() {
    if (!this.race?.running) return;
    this.race.interrupted = true;
    if (!this.race.lanes.length) this.stage.strip.idle();
    else this.draw();
  }
}
