// The tree of a beam search: which texts came through, and a row for each on which no other stands.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BeamTree, beamPath } from "../../kvdemo/web/frontend/race/beams/tree.js";

/** The same numbers each time, in [0, 1) (the generator of Park and Miller). */
const randoms = (seed) => {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
};

const grown = (width, length, random) => Array.from({ length }, (_, level) => Array.from({ length: width }, (_entry, place) =>
  [level ? Math.floor(random() * width) : 0, place, "a", -1 - place, -1]));

test("no two nodes overlap, and a surviving text stands in the row of its rank", () => {
  const random = randoms(1);
  for (const [width, length] of [[2, 1], [2, 20], [5, 30], [32, 40]]) {
    const levels = grown(width, length, random);
    for (const start of [0, Math.floor(length / 2)]) {
      const { levels: shown, rows } = new BeamTree(levels).from(start);
      assert.equal(shown.length, length - start);
      for (const level of shown) {
        assert.equal(new Set(level.map(({ row }) => row)).size, width);
        for (const { row, rank } of level) {
          assert.ok(row >= 0 && row < rows);
          if (rank !== null) assert.equal(row, rank);
        }
      }
    }
  }
});

test("the best text is the path to the first of the last level", () => {
  const levels = grown(5, 12, randoms(2));
  let place = 0;
  const places = [];
  for (const level of [...levels].reverse()) {
    places.unshift(place);
    [place] = level[place];
  }
  assert.deepEqual(new BeamTree(levels).best.map((beam) => beam.place), places);
});

const node = (parent, token, logprob) => [parent, token, String(token), logprob, logprob];

test("shared counts the tokens that all last texts begin with", () => {
  const tree = new BeamTree([[node(0, 1, -1), node(0, 2, -2)], [node(0, 3, -1), node(0, 4, -2)], [node(0, 5, -1), node(1, 6, -2)]]);
  assert.equal(tree.shared, 1);
  assert.deepEqual(beamPath(tree.finals[1]).map(({ token }) => token), [1, 4, 6]);
});

test("the greedy text follows the likeliest child, and has a rank only if it survived", () => {
  const kept = new BeamTree([[node(0, 1, -1), node(0, 2, -2)], [node(1, 3, -3), node(0, 4, -1)]]);
  assert.equal(kept.greedyRank, 1);
  const dropped = new BeamTree([[node(0, 1, -1), node(0, 2, -2)], [node(1, 3, -3), node(1, 4, -1)]]);
  assert.equal(dropped.greedyRank, null);
  assert.equal(dropped.greedyEnd.level, 0);
});
