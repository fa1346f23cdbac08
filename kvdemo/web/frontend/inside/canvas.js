// A canvas that is drawn in the pixels of the screen, and again when its frame or the colours change.
import { cssColor, onTheme } from "../base/colors.js";
import { el } from "../base/dom.js";

export class Canvas {
  /** @param {{ label: string, colors: Record<string, string>, draw: () => void }} how `colors` names custom properties of tokens.css */
  constructor({ label, colors, draw }) {
    this.names = colors;
    this.draw = draw;
    this.canvas = el("canvas", { role: "img", "aria-label": label });
    this.frame = el("div", { class: "kv-canvas" }, this.canvas);
    this.context = this.canvas.getContext("2d");
    this.width = this.height = this.scale = 0;
    this.known = null;
    onTheme(() => {
      this.known = null;
      this.redraw();
    });
    new ResizeObserver(() => this.frame.clientWidth && this.redraw()).observe(this.frame);
  }

  /** The colours as they are now. */
  get colors() {
    this.known ??= Object.fromEntries(Object.entries(this.names).map(([name, property]) => [name, cssColor(property)]));
    return this.known;
  }

  /** Pixels that the frame leaves for it. */
  get room() { return this.frame.clientWidth; }

  /** Sets its size, and clears it where that is what it is already. */
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

  /** What it shows, for who does not see it. */
  describe(text) { this.canvas.setAttribute("aria-label", text); }
}
