// The form's half in the browser: chips, the busy state, the shortcut, and a link that starts by itself.
(() => {
  const kv = window.kvdemo;
  const { el } = kv;

  const control = (id) => {
    const found = document.getElementById(id);
    return found?.matches("button") ? found : found?.querySelector("button");
  };

  /** A row of small buttons; the one pressed leaves its value in kvdemo.picked. */
  kv.chips = (element, props, picked) => {
    const buttons = props.items.map(({ label, value, why }) => kv.explain(
      el("button", { type: "button", class: "kv-choice", onclick: () => { kv.picked = value; picked(); } }, label),
      { text: why }));
    if (props.sticky) {
      // A preset's last value is its id: its button stays pressed for as long as the form is what it filled.
      kv.preset = (id) => props.items.forEach(({ value }, i) => buttons[i].setAttribute("aria-pressed", String(value.at(-1) === id)));
      kv.preset(props.items[0]?.value.at(-1));
    }
    element.firstElementChild.replaceChildren(el("div", { class: "kv-choices", role: "group", "aria-label": props.name }, ...buttons));
  };

  /** The two buttons of a tab: one starts, the other stops. Emits `submitted` and `settled` with the tab's name. */
  kv.Actions = class {
    constructor({ tab, start, stop, idle, working }) {
      Object.assign(this, { tab, start, stop, idle, working, running: false });
      kv.whenThere(stop, () => { if (!this.running) control(stop).disabled = true; });
    }

    busy(running) {
      this.running = running;
      const start = control(this.start);
      const stop = control(this.stop);
      if (start) {
        start.disabled = running;
        start.textContent = running ? this.working : this.idle;
        start.setAttribute("aria-busy", String(running));
      }
      if (stop) {
        stop.disabled = !running;
        stop.textContent = "Stop";
      }
      kv.tabBusy(this.tab, running);
      kv.emit(running ? "submitted" : "settled", this.tab);
    }

    stopping() {
      const stop = control(this.stop);
      if (!stop || !this.running) return;
      stop.disabled = true;
      stop.textContent = "Stopping…";
    }

    /** A long example ends with what it asks: two that share a document would look alike. */
    showQuestion() {
      const box = document.querySelector("#kv-prompt textarea");
      kv.frame(() => kv.frame(() => { box.scrollTop = box.scrollHeight; }));
    }

    press() {
      if (!this.running) control(this.start)?.click();
    }
  };

  kv.form = new kv.Actions({ tab: "race", start: "kv-race", stop: "kv-stop", idle: "Race", working: "Racing…" });
  kv.measuring = new kv.Actions({ tab: "measure", start: "kv-m-start", stop: "kv-m-stop", idle: "Start", working: "Measuring…" });

  document.addEventListener("keydown", (event) => {
    const actions = { race: kv.form, measure: kv.measuring }[kv.tab];
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !actions || actions.running) return;
    event.preventDefault();
    // The prompt reports its text on input; a frame later the form holds it.
    kv.frame(() => actions.press());
  }, true);

  /** A link with run=1 starts once, when the model has arrived or failed to. */
  let started = false;
  kv.on("status", ({ state, run }) => {
    if (!run || started || state === "loading") return;
    started = true;
    setTimeout(() => kv.form.press(), 400);
  });

  /** On a phone the settings start closed, below the two buttons. */
  kv.whenThere("kv-settings", (settings) => {
    if (matchMedia("(max-width: 760px)").matches) settings.querySelector("button.label-wrap")?.click();
  });

  /** A line of text under a control. */
  kv.line = (element, props, watch) => {
    const line = el("p", { class: "kv-said", role: "status", dir: "auto" });
    element.firstElementChild.replaceChildren(line);
    const take = () => kv.write(line, props.value ?? "");
    watch("value", take);
    take();
  };
})();
