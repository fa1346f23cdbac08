// A canvas that is drawn in the pixels of the screen, and again when its frame or the colours change.
import { cssColor, onTheme } from "../../base/colors.js";
import { el } from "../../base/dom.js";

/** What draws on a canvas.
 * @param {HTMLCanvasElement} canvas */
export const contextOf = (canvas) => {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser does not draw on a canvas.");
  return context;
};

/** @template {string} Name what a colour is for */
export class Canvas {
  /** @param {{ label: string, colors: Record<Name, string>, draw: () => void }} how `colors` names custom properties of styles/tokens.css */
  constructor({ label, colors, draw }) {
    this.names = colors;
    this.draw = draw;
    this.canvas = el("canvas", { role: "img", "aria-label": label });
    this.frame = el("div", { class: "kv-canvas" }, this.canvas);
    this.context = contextOf(this.canvas);
    this.width = this.height = this.scale = 0;
    /** The colours since the page turned light or dark. @type {Record<Name, string> | null} */
    this.known = null;
    onTheme(() => {
      this.known = null;
      this.redraw();
    });
    new ResizeObserver(() => this.frame.clientWidth && this.redraw()).observe(this.frame);
  }

  /** The colours as they are now. */
  get colors() {
    if (!this.known) {
      const now = { ...this.names };
      for (const name of /** @type {Name[]} */ (Object.keys(now))) now[name] = cssColor(this.names[name]);
      this.known = now;
    }
    return this.known;
  }

  /** Pixels that the frame leaves for it. */
  get room() { return this.frame.clientWidth; }

  /** Sets its size, and clears it where that is what it is already.
   * @type {(width: number, height: number) => void} */
  size(width, height) {
    const scale = devicePixelRatio || 1;
    if (width !== this.width || height !== this.height || scale !== this.scale) {
      Object.assign(this, { width, height, scale });
      this.canvas.width = Math.round(width * scale);
      this.canvas.height = Math.round(height * scale);
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
    }
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.context.clearRect(0, 0, width, height);
  }

  redraw() { if (this.room) this.draw(); }

  /** What it shows, for who does not see it.
   * @param {string} text */
  describe(text) { this.canvas.setAttribute("aria-label", text); }
}
