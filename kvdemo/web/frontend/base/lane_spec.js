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
 * The samplers' settings that a lane gives, as [name, option] in the order in which they are written. One that is given
 * at its default counts too: it stands against what is set for all lanes.
 * @template Option
 * @param {Record<string, Option> | undefined} sampling
 * @param {Record<string, string>} values
 */
const givenSettings = (sampling, values) => Object.entries(sampling ?? {}).filter(([name]) => values[name]);

/**
 * The strategies, each with the settings of samplers that its lanes take; none for one that has a rule of its own.
 * @template {{ samples: boolean }} Strategy
 * @template {{ options: Record<string, SamplerSetting> }} Sampler
 * @param {Strategy[]} strategies
 * @param {Sampler[]} samplers
 */
export const withSampling = (strategies, samplers) => {
  /** @type {Record<string, SamplerSetting>} */
  const all = Object.assign({}, ...samplers.map(({ options }) => options));
  return strategies.map((strategy) => ({ ...strategy, sampling: strategy.samples ? all : {} }));
};

/** A number that need not be whole, as Python writes it: 1.0 and 5e-05.
 * @type {(number: number) => string} */
const decimal = (number) => {
  const size = Math.abs(number);
  if (size && (size < 1e-4 || size >= 1e16)) return number.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  return Number.isInteger(number) ? number.toFixed(1) : String(number);
};

/** A value as Python writes it, once it is read.
 * @type {(option: SettingFacts, written: string) => string} */
const spelled = ({ choices, whole }, written) => {
  const number = Number(written);
  if (choices.length || !written || !Number.isFinite(number) || (whole && !Number.isSafeInteger(number))) return written;
  return whole ? String(number) : decimal(number);
};

/** @type {(settings: [string, SettingFacts][], values: Record<string, string>) => string} */
const named = (settings, values) => settings.map(([name, option]) => `${option.named_in ? "" : `${option.label.toLowerCase()} `}${spelled(option, values[name])}`).join(", ");

/**
 * The settings of samplers that a lane gives, in words: "temperature 0.8, top-k 20"; empty where it gives none.
 * @param {Record<string, SettingFacts> | undefined} sampling
 * @param {Record<string, string>} values
 */
export const chosenBy = (sampling, values) => named(givenSettings(sampling, values), values);

/**
 * The shortest text that says the same: settings at their defaults are left out, unless a lane gives them against what
 * is set for all. `known` has each strategy by id.
 * @param {PickedLane[]} lanes
 * @param {Map<string, StrategyFacts>} known
 * @returns {string}
 */
export const writeSpecs = (lanes, known) => lanes.map(({ id, values }) => [
  id, ...[...changedSettings(known.get(id), values), ...givenSettings(known.get(id)?.sampling, values)].map(([name]) => `${name}=${values[name]}`),
].join(":")).join(",");

/**
 * A lane's name, with the settings that tell it from others: "Sliding window (window 64) · temperature 0.8".
 * @param {StrategyFacts} strategy
 * @param {Record<string, string>} values
 * @returns {string}
 */
export const specName = (strategy, values) => {
  const settings = named(changedSettings(strategy, values), values);
  const chosen = chosenBy(strategy.sampling, values);
  return `${strategy.name}${settings ? ` (${settings})` : ""}${chosen ? ` · ${chosen}` : ""}`;
};
