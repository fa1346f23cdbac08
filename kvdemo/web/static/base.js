// Small things that every other script uses: elements and text nodes, number formats, and a bus.
(() => {
  const kv = window.kvdemo;

  /** An element with attributes and children. Strings become text nodes, never markup. */
  kv.el = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  /** Writes text only where it changed, which keeps selections and spares the layout. */
  kv.write = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  /** Calls back with the element once Gradio has put it on the page. */
  kv.whenThere = (id, act, tries = 100) => {
    const found = document.getElementById(id);
    if (found) act(found);
    else if (tries) setTimeout(() => kv.whenThere(id, act, tries - 1), 50);
  };

  const plain = new Intl.NumberFormat("en-US");
  // Made once: a formatter costs more to build than to use, and the live numbers use it a hundred times a second.
  const digitized = [0, 1, 2].map((digits) => new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  const fixed = (value, digits) => digitized[digits].format(value);
  /** Three significant digits, the way a stopwatch would show them. */
  const three = (value) => fixed(value, value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
  const NONE = "–";
  const known = (value) => value !== null && value !== undefined && Number.isFinite(value);

  kv.format = {
    none: NONE,
    count: (n) => (known(n) ? plain.format(n) : NONE),
    seconds: (s) => (!known(s) ? NONE : s >= 0.9995 ? `${three(s)} s` : s >= 0.0000995 || s === 0 ? `${three(s * 1000)} ms` : `${three(s * 1e6)} µs`),
    rate: (r) => (known(r) ? three(r) : NONE),
    times: (x) => (known(x) ? `${three(x)}×` : NONE),
    bytes: (b) => {
      if (!known(b)) return NONE;
      if (b < 1000) return `${b} B`;
      const power = Math.min(Math.floor(Math.log10(b) / 3), 4);
      return `${three(b / 1000 ** power)} ${["", "kB", "MB", "GB", "TB"][power]}`;
    },
    flops: (f) => (known(f) ? `${three(f / (f >= 1e12 ? 1e12 : 1e9))} ${f >= 1e12 ? "TFLOP/s" : "GFLOP/s"}` : NONE),
    duration: (s) => {
      if (!known(s)) return NONE;
      const whole = Math.max(1, Math.ceil(s));
      if (whole < 100) return `${whole} s`;
      const minutes = Math.round(whole / 60);
      return minutes < 100 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
    },
    percent: (p) => (!known(p) ? NONE : p >= 0.0995 ? `${fixed(p * 100, 0)} %` : p >= 0.00095 ? `${fixed(p * 100, 1)} %` : "< 0.1 %"),
  };

  /** Where floating cards go: inside the element that has the page's font and colours. */
  kv.float = (card) => (document.querySelector(".gradio-container .contain") ?? document.body).append(card);

  const listeners = {};
  kv.on = (name, callback) => (listeners[name] ??= []).push(callback);
  kv.emit = (name, detail) => (listeners[name] ?? []).forEach((callback) => callback(detail));

  kv.isDark = () => document.body.classList.contains("dark");
  kv.onTheme = (callback) =>
    new MutationObserver(callback).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  kv.color = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  kv.laneColor = (index) => `--kv-lane-${index % 6}`;
})();
