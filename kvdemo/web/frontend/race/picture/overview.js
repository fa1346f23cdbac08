// All steps of a lane at once, one row each, on a canvas of a fixed size. Rows are added to what is drawn already; all is
// drawn again only when the picture zooms out, when it is resized, and when light turns dark.
import { cssColor, laneColor } from "../../base/colors.js";
import { el } from "../../base/dom.js";
import { capacity, geometryOf, partsOf, ROOMY, rowAt } from "./geometry.js";
import { rangesOf } from "./ranges.js";

/** @typedef {import("../lanes/lane.js").Pass} Pass */
/** @typedef {import("./ranges.js").Look} Look */
/** @typedef {{ lane: string, ink: string }} Colors */

/** How each kind is filled and edged: with the lane's colour or with ink, and how strongly.
 * @type {Record<string, { ink?: boolean, alpha: number, edge?: number, dash?: number[] }>} */
const FILLS = {
  computed: { alpha: 1 },
  read: { alpha: 0.16, edge: 0.55 },
  packed: { alpha: 0.3, edge: 0.55 },
  fetched: { alpha: 0.08, edge: 0.6, dash: [2, 2] },
  rejected: { ink: true, alpha: 0.55 },
  dropped: { ink: true, alpha: 0.1 },
  room: { ink: true, alpha: 0.06 },
};
/** Thinner than this, a cell could not be seen. */
const THINNEST = 1.5;
const BETWEEN = 1.5;

export class Overview {
  /** @param {number} index the lane's */
  constructor(index) {
    this.index = index;
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.pen = this.canvas.getContext("2d");
    this.drawn = 0;
    this.farthest = 0;
    this.key = "";
    /** Measured when they change: asking for them in a drawing would lay out the page each time. */
    this.size = { width: 0, height: 0, column: 0 };
    /** @type {Colors | null} */
    this.colors = null;
    this.geometry = geometryOf({ width: 0, height: 0, column: 0, rows: 1, cells: 1 });
  }

  /**
   * Draws the passes that are not drawn yet.
   * @param {object} what
   * @param {Pass[]} what.passes
   * @param {number} what.prompt
   * @param {Look} what.look
   * @param {boolean} what.whole no more will come, so that these take all of the room
   */
  draw({ passes, prompt, look, whole }) {
    const { width, height, column } = this.size;
    if (!this.pen || !width || !height) return;
    for (const { seen } of passes.slice(this.drawn)) this.farthest = Math.max(this.farthest, seen);
    const behind = Math.max(this.farthest, look.room) - prompt;
    const rows = whole ? passes.length : capacity(passes.length);
    const cells = whole || look.room ? behind : capacity(behind);
    const scale = devicePixelRatio || 1;
    this.colors ??= { lane: cssColor(laneColor(this.index)), ink: cssColor("--kv-ink-3") };
    this.geometry = geometryOf({ width, height, column, rows, cells });
    const { colors } = this;
    const key = [width, height, column, rows, cells, scale, colors.lane].join(" ");
    if (key !== this.key) {
      this.key = key;
      this.drawn = 0;
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
      this.pen.scale(scale, scale);
    }
    // Of rows that share a line of pixels, one is drawn.
    const stride = Math.max(1, Math.floor(1 / (this.geometry.row * scale)));
    for (let row = Math.ceil(this.drawn / stride) * stride; row < passes.length; row += stride) this.#row(this.pen, passes[row], row, stride, prompt, look, colors);
    this.drawn = passes.length;
  }

  /** Takes the size that the canvas has now, and the width of the prompt's column. @param {number} column */
  measure(column) {
    this.size = { width: this.canvas.clientWidth, height: this.canvas.clientHeight, column };
  }

  /** Forgets the colours: light has turned dark. */
  recolor() { this.colors = null; }

  /** @type {(pen: CanvasRenderingContext2D, pass: Pass, row: number, stride: number, prompt: number, look: Look, colors: Colors) => void} */
  #row(pen, pass, row, stride, prompt, look, colors) {
    const { geometry } = this;
    const roomy = geometry.row >= ROOMY;
    // On whole pixels, or rows would shine through where they meet.
    const [above, below] = [row, row + stride].map((at) => Math.round(at * geometry.row * devicePixelRatio) / devicePixelRatio);
    const high = below - above - (roomy ? BETWEEN : 0);
    for (const { kind, size, left, right } of partsOf(rangesOf(pass, look), prompt, geometry)) {
      const { ink, alpha, edge, dash = [] } = FILLS[kind];
      const part = roomy ? high * size : high;
      const top = above + (high - part) / 2;
      const wide = Math.max(THINNEST, right - left);
      pen.fillStyle = ink ? colors.ink : colors.lane;
      pen.globalAlpha = alpha;
      pen.fillRect(left, top, wide, part);
      if (!roomy || !edge) continue;
      pen.strokeStyle = colors.lane;
      pen.globalAlpha = edge;
      pen.setLineDash(dash);
      pen.strokeRect(left + 0.5, top + 0.5, Math.max(0, wide - 1), Math.max(0, part - 1));
    }
  }

  /** The row at a height of the canvas. @type {(y: number, rows: number) => number} */
  rowAt(y, rows) { return rowAt(y, rows, this.geometry); }
}
