// The four tabs. All panels are on the page and one is laid out (page.css); `?tab=` opens one and says which is open.
(() => {
  const kv = window.kvdemo;
  const { el } = kv;

  const TABS = [["race", "Race"], ["measure", "Measure"], ["compare", "Compare"], ["plan", "Plan"]];
  const names = TABS.map(([name]) => name);
  const buttons = new Map();

  /** Changes the address without loading anything; null removes a parameter. */
  kv.address = (changes) => {
    const url = new URL(location.href);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    history.replaceState(history.state, "", url);
  };

  const show = (name) => {
    kv.tab = name;
    document.documentElement.dataset.kvTab = name;
    for (const [other, { button }] of buttons) {
      button.setAttribute("aria-selected", String(other === name));
      button.tabIndex = other === name ? 0 : -1;
    }
  };

  kv.openTab = (name) => {
    if (!names.includes(name) || name === kv.tab) return;
    show(name);
    kv.address({ tab: name === "race" ? null : name });
    scrollTo(0, 0);
    kv.emit("tab", name);
  };

  /** Calls back once, when the tab is open for the first time. */
  kv.whenOpen = (name, act) => {
    let due = true;
    const once = (open) => {
      if (!due || open !== name) return;
      due = false;
      act();
    };
    kv.on("tab", once);
    once(kv.tab);
  };

  /** A dot beside the name of a tab where something is at work. */
  kv.tabBusy = (name, busy) => {
    if (buttons.has(name)) buttons.get(name).dot.hidden = !busy;
  };

  /** Left, right, home and end, as in every row of tabs. */
  const walk = (event) => {
    const at = names.indexOf(kv.tab);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: names.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const name = names.at(to % names.length);
    kv.openTab(name);
    buttons.get(name).button.focus();
  };

  /** The row of tabs, for the header. */
  kv.tabs = () => {
    const row = TABS.map(([name, label]) => {
      const dot = el("i", { hidden: true, role: "img", "aria-label": "at work" });
      const button = el("button", { type: "button", class: "kv-tabbutton", role: "tab", id: `kv-tabbutton-${name}`, "aria-controls": `kv-tab-${name}`,
        onclick: () => kv.openTab(name) }, label, dot);
      buttons.set(name, { button, dot });
      kv.whenThere(`kv-tab-${name}`, (panel) => {
        panel.setAttribute("role", "tabpanel");
        panel.setAttribute("aria-labelledby", button.id);
      });
      return button;
    });
    show(kv.tab);
    return el("nav", { class: "kv-tabs", role: "tablist", "aria-label": "What to do", onkeydown: walk }, ...row);
  };

  const asked = new URLSearchParams(location.search).get("tab");
  show(names.includes(asked) ? asked : "race");
})();
