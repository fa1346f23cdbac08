// How a beam search grew, drawn once it is over: a column a token, the texts that were kept, and what became of them.
import { on } from "../../base/bus.js";
import { laneColor } from "../../base/colors.js";
import { el, showFloating, targetOf, write } from "../../base/dom.js";
import { format } from "../../base/format.js";
import { quote } from "../../base/token_text.js";
import { place } from "../../base/explain/tooltip.js";
import { finding, joined, score, spelled, table } from "./summary.js";
import { beamPath, BeamTree } from "./tree.js";

/** What all beams share folds into one node, all but its last tokens, where that saves so many columns; of itself beyond so many in all. */
const VISIBLE = 4;
const LEAST = 8;
const UNFOLDED = 40;
/** So many nodes a browser draws without a pause; of a larger search, the last. */
const MOST = 5000;
/** Heights in pixels: of the line of numbers, and of a row. */
const TOP = 16;
const ROW = 38;
const SVG = "http://www.w3.org/2000/svg";

/** The row that the tree gave to a node that is drawn.
 * @param {BeamNode} node */
const rowOf = ({ row }) => row ?? 0;

/** @type {(node: BeamNode, lane: import("../lanes/lane.js").Lane) => "dropped" | "best" | "kept"} */
const fate = (node, lane) => {
  if (node.rank === null) return "dropped";
  return node.rank === 0 && node.level < lane.count ? "best" : "kept";
};

/** @typedef {{ left: number, right: number, y: number }} Box where a node stands, in pixels of the grid */
/** @typedef {{ pinned?: boolean, aloud?: boolean }} How a card stays until it is closed, and is spoken */

class BeamFigure {
  /** The node that the card is about. @type {BeamNode | null} */
  current = null;
  /** @type {HTMLElement | null} */
  card = null;
  pinned = false;
  grid = el("div", {});
  svg = document.createElementNS(SVG, "svg");
  /** How many levels are not drawn. */
  hidden = 0;
  /** The elements of the nodes that are drawn. @type {Map<BeamNode, HTMLElement>} */
  nodes = new Map();
  /** @type {Map<Element, BeamNode>} */
  drawn = new Map();
  root = el("span");
  /** The line that leads to a node, in SVG's path language. @type {(node: BeamNode) => string} */
  line = () => "";
  observer = new ResizeObserver(() => this.#edges());

  /**
   * @param {import("../wire.js").Race} race
   * @param {import("../wire.js").Search} search
   * @param {HTMLElement} speech
   * @param {boolean} alone whether it is the only search of the race
   */
  constructor(race, { lane, levels, sums }, speech, alone) {
    this.speech = speech;
    const what = race.lanes[lane].samples ? "texts" : "beams";
    this.title = !alone ? `How the ${what} of ${race.lanes[lane].name} grew` : `How the ${what} grew`;
    this.lane = race.lanes[lane];
    this.tree = new BeamTree(levels, this.lane.samples);
    this.greedy = this.lane.samples ? null : race.lanes.find((other) => other.lossless && !other.elsewhere && other.index !== lane) ?? null;
    this.greedyScore = this.greedy ? sums[this.greedy.index] ?? null : null;
    this.foldable = this.tree.shared - VISIBLE >= LEAST;
    this.folded = this.foldable && this.tree.length > UNFOLDED;
    this.toggle = this.foldable ? el("button", { type: "button", class: "kv-button kv-reset", onclick: () => this.#fold() }) : null;
    this.box = el("div", { class: "kv-beambox", tabindex: "0", role: "group", "aria-label": `Tree of ${this.tree.width} beams over `
      + `${this.tree.length} tokens. Arrow keys walk it; the table below has its outcome.` });
    this.element = this.#built();
    this.#listen();
    this.#draw();
  }

  #built() {
    const { lane, tree, greedy } = this;
    /** @type {(kind: string, text: string) => HTMLElement} */
    const key = (kind, text) => el("span", { "data-edge": kind }, el("i", {}), text);
    return el("section", { class: "kv-beams", "aria-label": this.title,
      style: `--lane: var(${laneColor(lane.index)}); --greedy: var(${greedy ? laneColor(greedy.index) : "--kv-ink-2"})` },
    el("header", {}, el("h3", {}, this.title),
      el("div", { class: "kv-keys" }, key("best", "the best text"), key("kept", `others of the last ${tree.width}`), key("dropped", "dropped"),
        tree.drawn ? null : key("greedy", greedy ? `greedy, like ${greedy.name}` : "greedy")),
      this.toggle),
    el("p", { class: "kv-finding" }, finding(this)), this.box, table(this));
  }

  // --- the picture

  #fold() {
    this.folded = !this.folded;
    this.hide();
    this.#draw();
    this.box.scrollLeft = 0;
  }

  #draw() {
    const { tree, lane } = this;
    this.hidden = Math.max(this.folded ? tree.shared - VISIBLE : 0, tree.length - Math.floor(MOST / tree.width));
    if (this.toggle) write(this.toggle, this.folded ? `All ${format.count(tree.length)} columns` : "Fold what all beams share");
    const { levels, rows } = tree.from(this.hidden);
    this.svg = document.createElementNS(SVG, "svg");
    this.nodes = new Map();
    this.drawn = new Map();
    this.grid = el("div", { class: "kv-beamgrid", "aria-hidden": "true", style: `grid-template-rows: ${TOP}px repeat(${rows}, ${ROW}px)` }, this.svg, this.#root());
    for (const level of levels) {
      const column = level[0].level - this.hidden + 2;
      this.grid.append(el("i", { style: `grid-area: 1 / ${column}` }, format.count(level[0].level + 1)));
      for (const node of level) {
        const twig = el("span", { class: "kv-twig", "data-edge": fate(node, lane), "data-greedy": Boolean(node.greedy), style: `grid-area: ${rowOf(node) + 2} / ${column}` },
          el("bdi", {}, ...spelled(node.text)), el("small", {}, score(node.score)));
        this.nodes.set(node, twig);
        this.drawn.set(twig, node);
        this.grid.append(twig);
      }
    }
    const end = levels.length + 2;
    this.grid.append(...tree.finals.map(({ place: rank }) => el("b", { style: `grid-area: ${rank + 2} / ${end}` }, String(rank + 1))));
    this.box.replaceChildren(this.grid);
    this.observer.disconnect();
    this.observer.observe(this.grid);
  }

  /** Where the tree begins: the prompt, or the tokens that are folded up. */
  #root() {
    this.root = !this.hidden ? el("span", { class: "kv-twig kv-root", style: "grid-area: 2 / 1" }, "prompt") : el("span", { class: "kv-twig kv-root kv-folded", style: "grid-area: 2 / 1", onclick: this.foldable ? () => this.#fold() : null },
      el("b", {}, `${format.count(this.hidden)} tokens`),
      el("small", {}, this.hidden <= this.tree.shared ? `shared by all ${this.tree.width}` : "not drawn"));
    return this.root;
  }

  /** Lines from parent to child, one path element a kind; they bend between the columns, where no word is in the way. */
  #edges() {
    /** @type {(element: HTMLElement, row: number) => Box} */
    const box = (element, row) => ({ left: element.offsetLeft, right: element.offsetLeft + element.offsetWidth, y: TOP + ROW * (row + 0.5) });
    const boxes = new Map([...this.nodes].map(([node, twig]) => [node, box(twig, rowOf(node))]));
    const root = box(this.root, 0);
    const columns = new Map([[this.hidden - 1, { left: root.left, right: root.right }]]);
    for (const [{ level }, { left, right }] of boxes) {
      const column = columns.get(level) ?? { left, right };
      columns.set(level, { left: Math.min(column.left, left), right: Math.max(column.right, right) });
    }
    const lines = { dropped: "", kept: "", best: "", greedy: "", hidden: "" };
    this.line = (node) => {
      const [from, to] = [(node.parent && boxes.get(node.parent)) ?? root, boxes.get(node) ?? root];
      const [out, into] = [columns.get(node.level - 1)?.right ?? from.right, columns.get(node.level)?.left ?? to.left];
      const middle = (out + into) / 2;
      return `M${from.right} ${from.y}H${out}C${middle} ${from.y} ${middle} ${to.y} ${into} ${to.y}H${to.left}`;
    };
    for (const node of this.nodes.keys()) {
      const drawn = this.line(node);
      const fromHidden = node.level === this.hidden && this.hidden && node.parent?.rank === null;
      lines[fromHidden ? "hidden" : fate(node, this.lane)] += drawn;
      if (node.greedy) lines.greedy += drawn;
    }
    this.svg.replaceChildren(...Object.entries({ ...lines, now: "" }).map(([kind, d]) => {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", d);
      path.setAttribute("data-edge", kind);
      return path;
    }));
  }

  // --- one node under the magnifying glass

  #listen() {
    /** @param {Event} event */
    const twigAt = (event) => {
      const twig = targetOf(event, ".kv-twig");
      return twig && this.drawn.get(twig);
    };
    this.box.addEventListener("pointerover", (event) => {
      const node = event.pointerType === "mouse" ? twigAt(event) : null;
      if (node && !this.pinned) this.show(node);
    });
    this.box.addEventListener("pointerleave", () => !this.pinned && this.hide());
    this.box.addEventListener("click", (event) => {
      const node = twigAt(event);
      if (node) this.show(node, { pinned: true });
    });
    this.box.addEventListener("keydown", (event) => this.#key(event));
    this.box.addEventListener("blur", () => this.hide());
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { tree } = this;
    const first = tree.best[this.hidden];
    const at = this.current;
    /** @param {BeamNode} node */
    const column = ({ level }) => [...tree.levels[level]].sort((a, b) => rowOf(a) - rowOf(b));
    /** @param {number} step */
    const beside = (step) => at && column(at)[column(at).indexOf(at) + step];
    /** @type {Record<string, () => BeamNode | null | undefined>} */
    const moves = { ArrowRight: () => (at ? tree.next(at) : first), ArrowLeft: () => at?.parent, ArrowUp: () => beside(-1), ArrowDown: () => beside(1), Home: () => first, End: () => tree.best.at(-1) };
    const next = moves[event.key];
    if (!next || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const node = next() ?? at ?? first;
    if (this.nodes.has(node)) this.show(node, { pinned: true, aloud: true });
  }

  /**
   * @param {BeamNode} node
   * @param {How} how
   */
  show(node, { pinned = false, aloud = false } = {}) {
    this.hide();
    const twig = this.nodes.get(node);
    if (!twig) return;
    Object.assign(this, { current: node, pinned });
    if (aloud) twig.scrollIntoView({ block: "nearest", inline: "nearest" });
    twig.classList.add("kv-current");
    const now = this.svg.querySelector("[data-edge=now]");
    now?.setAttribute("d", beamPath(node).filter((part) => this.nodes.has(part)).map(this.line).join(""));
    this.card = this.#card(node);
    showFloating(this.card);
    const text = this.card.querySelector("pre");
    if (text) text.scrollTop = text.scrollHeight;
    if (!matchMedia("(max-width: 760px)").matches) place(this.card, twig);
    if (aloud) this.speech.textContent = `${quote(node.text)}, score ${score(node.score)}. ${this.#fateOf(node)}`;
  }

  hide() {
    this.card?.remove();
    this.svg.querySelector("[data-edge=now]")?.setAttribute("d", "");
    if (this.current) this.nodes.get(this.current)?.classList.remove("kv-current");
    this.card = this.current = null;
    this.pinned = false;
  }

  /** @param {BeamNode} node */
  #fateOf(node) {
    const { tree } = this;
    if (node.rank === null) return `Dropped: no text that begins so was kept after token ${format.count(node.depth + 1)}.`;
    if (node.level === tree.length - 1) return `Number ${node.rank + 1} of the ${tree.width} last texts.`;
    return node.rank ? `The text that became number ${node.rank + 1} begins so.` : "The best text begins so.";
  }

  /** @param {BeamNode} node */
  #card(node) {
    /** @type {(label: string, value: string) => Node[]} */
    const fact = (label, value) => [el("dt", {}, label), el("dd", {}, value)];
    const path = beamPath(node);
    return el("div", { class: "kv-inspector kv-twigcard", role: "tooltip", style: `--lane: var(${laneColor(this.lane.index)})` },
      el("header", {}, el("bdi", {}, quote(node.text)), el("span", {}, `token ${format.count(node.level + 1)} · beam ${node.place + 1} of ${this.tree.levels[node.level].length}`)),
      el("dl", {}, ...fact("Score", score(node.score)), ...fact("This token", score(node.logprob)),
        ...fact("Probability", format.percent(Math.exp(node.logprob))), ...fact("Token id", String(node.token))),
      el("div", { class: "kv-read" }, el("p", {}, this.#fateOf(node), node.greedy ? " It is the greedy text up to here." : ""),
        el("pre", { dir: "auto" }, joined(path))));
  }
}

/** A figure for each search, once the race has finished; nothing before. */
export class Beams {
  constructor() {
    this.element = el("div", { class: "kv-beamed" });
    this.speech = el("div", { class: "kv-hidden", "aria-live": "polite" });
    /** @type {BeamFigure[]} */
    this.figures = [];
    /** @type {import("../wire.js").Verdict | null} */
    this.shown = null;
    const hide = () => { for (const figure of this.figures) figure.hide(); };
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
    document.addEventListener("pointerdown", (event) => { if (!targetOf(event, ".kv-beambox, .kv-twigcard")) hide(); });
    on("tab", hide);
  }

  /** @param {import("../wire.js").Race} race */
  show(race) {
    if (this.shown === race.verdict) return;
    this.shown = race.verdict;
    for (const figure of this.figures) figure.hide();
    const searches = race.verdict?.beams ?? [];
    this.figures = searches.map((search) => new BeamFigure(race, search, this.speech, searches.length === 1));
    this.element.replaceChildren(this.speech, ...this.figures.map((figure) => figure.element));
  }
}
