// Types that more than one module names, and what is on `window`. For the checker alone: nothing imports it.

/** A definition of kvdemo/web/definitions.py. */
interface Definition {
  name: string;
  long: string;
  text: string;
  also: string;
}

/** What Gradio hands to the function that draws an element. */
type Watch = (property: string, callback: () => void) => void;
interface Props {
  value: any;
  [name: string]: any;
}
type DrawElement = (element: HTMLElement, props: Props, watch: Watch, fire: () => void, facts: any) => void;

/** A strategy and its options, as the server describes them. */
interface StrategyOption {
  default: string | number;
  label: string;
  about: string;
  low: number;
  high: number;
  whole: boolean;
  choices: string[];
}
interface StrategyFacts {
  id: string;
  name: string;
  summary: string;
  description?: string;
  options: Record<string, StrategyOption>;
}

/** A lane of a form: a strategy and the settings that were given, as they were written. */
interface PickedLane {
  id: string;
  values: Record<string, string>;
}

/** A lane that runs, as the wire format introduces it (kvdemo/web/wire.py). */
interface LaneFacts {
  strategy: string;
  name: string;
  summary: string;
  lossless: boolean;
  elsewhere?: boolean;
  searches?: boolean;
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
  row?: number | null;
  greedy?: boolean;
}

/** What is left on `window`: for the inline scripts that Gradio runs. */
interface Kvdemo {
  early: (() => void)[];
  definitions?: Record<string, Definition>;
  bounds?: Record<string, string>;
  same?: number;
  given?: { picked: any; tokens: number | null; run: string | null };
  draw(name: string, tab: string | null, element: HTMLElement, props: Props, watch: Watch, fire: () => void, facts: any): void;
  tell(message: string, ...details: any[]): void;
}

interface Window {
  kvdemo: Kvdemo;
  Plotly: any;
}
