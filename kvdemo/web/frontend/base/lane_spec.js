// Lanes as one word each, `sliding_window:window=64:sinks=4`, as links and forms carry them; and as people read them.

/** Whether a setting, as it was written, is what it would be anyway.
 * @type {(option: { default: number | string }, written: string) => boolean} */
const usual = ({ default: value }, written) => written === "" || written === String(value)
  || (typeof value === "number" && Number(written) === value);

/**
 * A text with commas as lanes; `values` has the settings that were given, as they were written.
 * @param {string | null | undefined} text
 * @returns {PickedLane[]}
 */
export const readSpecs = (text) => (text ?? "").split(",").filter((spec) => spec.trim()).map((spec) => {
  const [id, ...settings] = spec.split(":").map((part) => part.trim());
  return { id, values: Object.fromEntries(settings.map((setting) => {
    const [name, ...value] = setting.split("=");
    return [name.trim(), value.join("=").trim()];
  })) };
});

/**
 * The settings that are not at their defaults, as [name, option] in the strategy's order.
 * @template {{ default: number | string }} Option
 * @param {{ options: Record<string, Option> } | undefined} strategy
 * @param {Record<string, string>} values
 */
export const changedSettings = (strategy, values) => Object.entries(strategy?.options ?? {})
  .filter(([name, option]) => values[name] !== undefined && !usual(option, values[name]));

/**
 * The shortest text that says the same: settings at their defaults are left out. `known` has each strategy by id.
 * @param {PickedLane[]} lanes
 * @param {Map<string, StrategyFacts>} known
 * @returns {string}
 */
export const writeSpecs = (lanes, known) => lanes.map(({ id, values }) => [
  id, ...changedSettings(known.get(id), values).map(([name]) => `${name}=${values[name]}`),
].join(":")).join(",");

/**
 * A lane's name, with the settings that tell it from others.
 * @param {StrategyFacts} strategy
 * @param {Record<string, string>} values
 * @returns {string}
 */
export const specName = (strategy, values) => {
  const settings = changedSettings(strategy, values).map(([name, { label }]) => `${label.toLowerCase()} ${values[name]}`);
  return settings.length ? `${strategy.name} (${settings.join(", ")})` : strategy.name;
};
