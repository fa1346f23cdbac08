// Inlined into the page's head, since Gradio may draw before main.js has loaded: keeps what is asked until then.
window.kvdemo = /** @type {Kvdemo} */ ({
  early: /** @type {Kvdemo["early"]} */ ([]),
  draw(...how) { this.early.push(() => this.draw(...how)); },
  tell(...what) { this.early.push(() => this.tell(...what)); },
});
