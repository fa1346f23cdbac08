// Types that more than one module names, and what is on `window`. For the checker alone: nothing imports it.
// The documents and records that Python hands over are in documents.d.ts.

/** A definition of kvdemo/web/words/figures.py, or of a tab's own terms. */
interface Definition {
  name: string;
  long: string;
  text: string;
  also: string;
}
type Definitions = Record<string, Definition>;

/** Listeners by their attributes: `onclick`, `onkeydown`. */
type Listeners = { [Name in keyof GlobalEventHandlersEventMap as `on${Name}`]?: ((event: GlobalEventHandlersEventMap[Name]) => unknown) | null };
/** Attributes of an element as `el` takes them: null, undefined and false are left out, true has no value. */
interface Attributes extends Listeners {
  [name: string]: string | number | boolean | null | undefined | ((event: never) => unknown);
}
/** What `el` puts into an element: null and undefined are left out, text stays text. */
type Child = Node | string | null | undefined;

/** What Gradio hands to the function that draws an element. */
type Watch = (property: string, callback: () => void) => void;
type Props<Value> = { value: Value };
/** `fire` triggers the element's event, where it has one. */
type DrawElement<Value, Facts> = (element: HTMLElement, props: Props<Value>, watch: Watch, fire: () => void, facts: Facts) => void;
/** Any of them: what props and facts are is between the function and the Python that makes its element. */
type Drawing = (element: HTMLElement, props: never, watch: Watch, fire: () => void, facts: never) => void;

/** A strategy's setting as a form has it; `whole` tells a whole 1 from a 1.0 (kvdemo/web/components/lane_settings.py). */
interface StrategyOption extends core.Option {
  whole: boolean;
}
/** What a lane's name and spec need of a setting. */
type SettingFacts = Pick<StrategyOption, "label" | "default" | "choices" | "whole"> & Partial<Pick<StrategyOption, "named_in">>;
/** What tells a strategy and its lanes from others: all that a form needs of it. */
interface StrategyFacts extends Pick<core.StrategyInfo, "id" | "name" | "summary"> {
  options: Record<string, SettingFacts>;
  /** The settings of samplers that its lanes take. */
  sampling?: Record<string, SettingFacts>;
}
/** A strategy in the form's menu. */
interface OfferedStrategy extends StrategyFacts {
  options: Record<string, StrategyOption>;
  samples: boolean;
}
/** A setting of a sampler; `shared` where the form has it too, as the default of all lanes. */
interface SamplerSetting extends StrategyOption {
  shared: boolean;
}
/** A rule by which a lane may choose (`samplers` of kvdemo/web/backend.py). */
interface OfferedSampler {
  id: string;
  name: string;
  summary: string;
  description: string;
  greedy_too: boolean;
  options: Record<string, SamplerSetting>;
}

/** A lane of a form: a strategy and the settings that were given, as they were written. */
interface PickedLane {
  id: string;
  values: Record<string, string>;
}

/** What the server says of its model (`model_status` of kvdemo/web/tabs/race_events.py). */
interface Status {
  state: "loading" | "ready" | "failed";
  text: string;
  fraction: number | null;
  model: race.Model | null;
  /** Why strategies cannot run on the model, by id; there once a model is. */
  reasons?: Record<string, string>;
  /** Whether the link that opened the page asks for a race at once. */
  run?: boolean;
}

/** What parts of the page tell each other (base/bus.js). */
interface BusEvents {
  /** The server has said what its model does. */
  status: Status;
  /** A run has said which model it is on. */
  model: race.Model;
  /** A tab was opened. */
  tab: string;
  /** A form's lanes have changed: their specs. */
  lanes: { tab: string; text: string };
  /** What the strategies cannot do has changed. */
  reasons: null;
  /** A question to the server has begun, or was answered. */
  asking: { tab: string; busy: boolean };
  /** Somebody asks why: a panel of Inside, what a link to it says of the race, and the tokens that a lane wrote. */
  why: { panel: string; reader: Record<string, string>; continuation?: number[]; lane?: string };
  /** A tab's run has begun, or is over. */
  submitted: string;
  /** The server has begun with the run of this tab. */
  began: string;
  settled: string;
  /** Another step of a race is under the pointer, or none. */
  marked: Marked | null;
  /** The server does not answer, or answers again. */
  lost: boolean;
  /** The page was loaded again because its server was lost: the sheets of the finished race that it showed, or null if they could not be kept. */
  returned: string[] | null;
}

/** A step of a race that is pointed at: the lane, and the token that was pointed at (race/marked_step.js). */
interface Marked {
  lane: number;
  token: number;
}

/** What a token was chosen from, or the sentence that says why that is not known (`candidates` of kvdemo/web/backend.py). */
interface CandidatesAnswer {
  candidates: race.Candidates | null;
  reason: string;
}

/** A measurement as its tab draws it (`drawn_part` of kvdemo/web/tabs/measure_events.py): of the runs the seconds. */
interface DrawnLane extends Omit<measure.Lane, "runs" | "tokens" | "text"> {
  runs: number[];
}
interface DrawnMeasurement extends Omit<measure.MeasureDocument, "lanes" | "prompt"> {
  lanes: DrawnLane[];
  /** `tokens` is how many there are. */
  prompt: { text: string; tokens: number };
}
/** What the Measure tab draws (kvdemo/web/tabs/measure_events.py says what each means). */
interface MeasureState {
  run: string | null;
  phase: "idle" | "running" | "over" | "kept" | "refused";
  text: string;
  fraction: number | null;
  remaining_s: number | null;
  document: DrawnMeasurement | null;
  error: string | null;
  notices: string[];
}

/** A node of a search's tree (race/beams/tree.js). */
interface BeamNode {
  level: number;
  place: number;
  token: number;
  text: string;
  logprob: number;
  score: number;
  parent: BeamNode | null;
  children: BeamNode[];
  /** The place of the best last text that came of it, or null. */
  rank: number | null;
  /** The last level that any text which begins so reached. */
  depth: number;
  row: number | null;
  greedy: boolean;
}

/** What an element hands to the Gradio event that it fires (base/event_data.js). */
interface Given {
  /** The value of the chip that was pressed. */
  picked: unknown;
  /** The number of tokens that would fit. */
  tokens: number | null;
  /** The measurement to show. */
  run: string | null;
  /** Makes the question that Inside puts, of its form's values. */
  question: (values: unknown[]) => unknown[];
  /** Fills the form of Inside with what a race hands over: its values before, and after. */
  handed: (values: unknown[]) => unknown[];
  /** Fills all forms with what they held: their values before, and after. */
  kept: (values: unknown[]) => unknown[];
}

/** What is on `window`: for the inline scripts that Gradio runs, and the facts from kvdemo/web/assets.py. */
interface Kvdemo {
  early: (() => void)[];
  definitions: Definitions;
  /** How texts spell what is defined: the key of each definition. */
  words: Record<string, string>;
  bounds: Record<string, string>;
  same: number;
  given: Given;
  /** The scripts of kvdemo/web/components/ call it, with what the function of that name takes. */
  draw(name: string, ...how: Parameters<Drawing>): void | Promise<void>;
  tell(message: string, ...details: never[]): unknown;
}

/** plotly.js, as far as it is used. */
interface Plotly {
  react(plot: PlotElement, traces: object[], layout: object, config: object): void;
  relayout(plot: PlotElement, changes: Record<string, unknown>): void;
  Plots: { resize(plot: PlotElement): void };
}
type PlotAxis = { fixedrange?: boolean; autorange?: boolean; range?: [number, number] };
/** What plotly.js says of the pointer: the points at its x, and its own place on the axes. */
interface PlotHover {
  points: { curveNumber: number; pointNumber: number; y: number }[];
  yvals: number[];
}
/** An element, with what plotly.js adds to it when it draws there. */
interface PlotElement extends HTMLElement {
  data?: object[];
  layout?: { xaxis: PlotAxis; yaxis: PlotAxis };
  on?(event: string, callback: (hover: PlotHover) => void): void;
}
/** A chart's layout: what is added to the axes, and to the whole. */
interface PlotLayout {
  x?: object;
  y?: object;
  [more: string]: unknown;
}

interface Window {
  kvdemo: Kvdemo;
  /** Gradio's own facts. */
  gradio_config?: { app_id: number };
  Plotly: Plotly;
}
