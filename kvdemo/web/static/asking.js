// Questions to the server about a form: put when it has come to rest, one at a time, and only while its tab is open.
(() => {
  const kv = window.kvdemo;
  const REST = 300;
  const askers = new Map();

  class Asker {
    constructor(tab, put) {
      Object.assign(this, { tab, put, wanted: true, running: false, again: false, timer: null });
    }

    /** Asks soon; in a tab that is not open, when it is opened. */
    want(wait = REST) {
      this.wanted = true;
      clearTimeout(this.timer);
      if (kv.tab !== this.tab) return;
      this.timer = setTimeout(() => {
        this.wanted = false;
        this.again = this.running;
        this.running = true;
        kv.emit("asking", { tab: this.tab, busy: true });
        this.put();
      }, wait);
    }

    /** The server has answered. What was asked meanwhile it is asked once more, for the form as it is then. */
    answered() {
      this.running = this.again;
      this.again = false;
      kv.emit("asking", { tab: this.tab, busy: this.running });
    }
  }

  /** An element without a look (kvdemo/web/components/follow.py): `put` sends the form. */
  kv.asker = (element, props, watch, put, { tab, onModel }) => {
    const asker = new Asker(tab, put);
    askers.set(tab, asker);
    kv.on("tab", () => asker.wanted && asker.want(0));
    if (onModel) kv.on("status", ({ state }) => state !== "loading" && asker.want());
    asker.want(onModel ? REST : 0);
  };
  kv.ask = (tab) => askers.get(tab)?.want();
  kv.answered = (tab) => askers.get(tab)?.answered();
})();
