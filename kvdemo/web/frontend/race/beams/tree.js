// A search's tree as data (kvdemo/web/beams.py): which texts came through, which were dropped, and a row for each.

/**
 * Nodes level by level, each with its parent and children.
 * @param {import("../wire.js").Search["levels"]} levels
 * @returns {BeamNode[][]}
 */
const grow = (levels) => {
  /** @type {BeamNode[][]} */
  const grown = [];
  for (const [level, entries] of levels.entries()) {
    grown.push(entries.map(([parent, token, text, logprob, score], beam) => {
      /** @type {BeamNode} */
      const node = { level, place: beam, token, text, logprob, score, parent: level ? grown[level - 1][parent] : null, children: [],
        rank: null, depth: level, row: null, greedy: false };
      node.parent?.children.push(node);
      return node;
    }));
  }
  return grown;
};

/** From the last level back: `rank`, the place of the best text that came of a node, if any did; `depth`, how far it was followed.
 * @param {BeamNode[][]} levels */
const judge = (levels) => {
  for (const node of levels[levels.length - 1]) node.rank = node.place;
  for (const level of [...levels].reverse()) {
    for (const { parent, rank, depth } of level) {
      if (!parent) continue;
      parent.depth = Math.max(parent.depth, depth);
      if (rank !== null && (parent.rank === null || rank < parent.rank)) parent.rank = rank;
    }
  }
};

/** Greedy decoding takes the likeliest token: of a kept text's children the likeliest is the first to be kept, if any is.
 * @param {BeamNode[][]} levels */
const followGreedy = (levels) => {
  let [last] = levels[0];
  /** @type {BeamNode | undefined} */
  let node = last;
  while (node) {
    node.greedy = true;
    last = node;
    [node] = [...node.children].sort((a, b) => b.logprob - a.logprob);
  }
  return last;
};

/** The child that goes on in its parent's row: what came through, else what was followed longest.
 * @param {BeamNode} node
 * @returns {BeamNode | undefined} */
const heir = (node) => node.children.find(({ rank }) => rank !== null && rank === node.rank)
  ?? [...node.children].sort((a, b) => b.depth - a.depth || a.place - b.place)[0];

/** A text that came through stands in the row of its rank, a dropped one in the nearest row that is free as long as it lives.
 * @param {BeamNode[][]} levels
 * @returns {number} how many rows there are */
const place = (levels) => {
  const [[{ level: start }]] = levels;
  const taken = levels.map(() => new Set());
  /** @type {(node: BeamNode, row: number) => void} */
  const put = (node, row) => { node.row = row; taken[node.level - start].add(row); };
  const nodes = levels.flat();
  let rows = levels[levels.length - 1].length;
  for (const node of nodes) node.row = null;
  for (const node of nodes) if (node.rank !== null) put(node, node.rank);
  for (const first of nodes) {
    if (first.row !== null) continue;
    /** @type {BeamNode[]} */
    const chain = [];
    for (let node = /** @type {BeamNode | undefined} */ (first); node; node = heir(node)) chain.push(node);
    const from = (first.level > start && first.parent?.row) || 0;
    /** @param {number} at */
    const free = (at) => chain.every(({ level }) => !taken[level - start].has(at));
    let row = rows;
    for (let at = 1; at < rows; at++) if (free(at) && Math.abs(at - from) < Math.abs(row - from)) row = at;
    for (const node of chain) put(node, row);
    rows = Math.max(rows, row + 1);
  }
  return rows;
};

/**
 * The text of a node, token by token.
 * @param {BeamNode} node
 * @returns {BeamNode[]}
 */
export const beamPath = (node) => {
  /** @type {BeamNode[]} */
  const nodes = [];
  for (let at = /** @type {BeamNode | null} */ (node); at; at = at.parent) nodes.unshift(at);
  return nodes;
};

export class BeamTree {
  /**
   * @param {import("../wire.js").Search["levels"]} levels at least one, none of them empty
   * @param {boolean} [drawn] its texts were drawn, so that none of them needs to be the greedy one
   */
  constructor(levels, drawn = false) {
    this.levels = grow(levels);
    this.width = Math.max(...this.levels.map((level) => level.length));
    judge(this.levels);
    this.drawn = drawn;
    this.greedyEnd = drawn ? null : followGreedy(this.levels);
    this.finals = this.levels[this.levels.length - 1];
    this.best = beamPath(this.finals[0]);
    /** How many tokens all the last texts begin with. */
    this.shared = this.levels.findIndex((level) => level.filter(({ rank }) => rank !== null).length > 1);
    if (this.shared < 0) this.shared = this.levels.length;
  }

  /** The levels from one on, their nodes given rows from 0 on, and how many rows that makes.
   * @param {number} start */
  from(start) {
    const levels = this.levels.slice(start);
    return { levels, rows: place(levels) };
  }

  get length() { return this.levels.length; }
  /** The rank of the greedy text at the end, or null if it was dropped. */
  get greedyRank() { return this.greedyEnd?.level === this.length - 1 ? this.greedyEnd.rank : null; }

  /** The child that an arrow to the right goes to.
   * @param {BeamNode} node */
  next(node) { return heir(node); }
}
