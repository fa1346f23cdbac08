// Lanes as one word each, `sliding_window:window=64:sinks=4`, as links and forms carry them; and as people read them.
(() => {
  const kv = window.kvdemo;

  /** Whether a setting, as it was written, is what it would be anyway. */
  const usual = ({ default: value }, written) => written === "" || written === String(value)
    || (typeof value === "number" && Number(written) === value);

  kv.specs = {
    /** A text with commas as [{ id, values }]; `values` has the settings that were given, as they were written. */
    read: (text) => (text ?? "").split(",").filter(Boolean).map((spec) => {
      const [id, ...settings] = spec.split(":").map((part) => part.trim());
      return { id, values: Object.fromEntries(settings.map((setting) => setting.split("=").map((part) => part.trim()))) };
    }),

    /** The shortest text that says the same: settings at their defaults are left out. `known` has each strategy by id. */
    write: (lanes, known) => lanes.map(({ id, values }) => [
      id, ...kv.specs.changed(known.get(id), values).map(([name]) => `${name}=${values[name]}`),
    ].join(":")).join(","),

    /** The settings that are not at their defaults, as [name, option] in the strategy's order. */
    changed: (strategy, values) => Object.entries(strategy?.options ?? {})
      .filter(([name, option]) => values[name] !== undefined && !usual(option, values[name])),

    /** A lane's name, with the settings that tell it from others. */
    name: (strategy, values) => {
      const settings = kv.specs.changed(strategy, values).map(([name, { label }]) => `${label.toLowerCase()} ${values[name]}`);
      return settings.length ? `${strategy.name} (${settings.join(", ")})` : strategy.name;
    },
  };

  /** The model that each tab's form holds. */
  const chosen = {};
  kv.lanesFor = (tab, model) => {
    chosen[tab] = model;
    kv.emit("reasons");
  };
  kv.on("status", () => kv.emit("reasons"));

  /** Why strategies cannot run, by id. It is known for the loaded model alone: for another one, nothing is held against them. */
  kv.reasons = (tab) => {
    const { model, reasons } = kv.status ?? {};
    return reasons && (chosen[tab] ?? model?.id) === model?.id ? reasons : {};
  };
})();
