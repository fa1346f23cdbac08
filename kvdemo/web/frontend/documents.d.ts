// What Python hands to the browser, as types. This file is written: python -m docs.schema.write

declare namespace race {
  /** A text that a search kept: one token after the text at place `parent` of the level before (0: the prompt). */
  interface BeamNode {
    parent: number;
    token: number;
    text: string;
    logprob: number;
    score: number;
  }
  /** A token that might have been chosen. */
  interface Candidate {
    token: number;
    text: string;
    probabilities: (number | null)[];
    cut: number | null;
  }
  /** What one token was chosen from. */
  interface Candidates {
    stages: (Stage)[];
    likeliest: (Candidate)[];
    chosen: number;
    rank: number;
    drawn: (number)[] | null;
  }
  /** A lane against the baseline. */
  interface ComparedLane {
    strategy: string;
    speedup: number | null;
    identical: boolean;
    first_divergence: Divergence | null;
  }
  /** All lanes but the first against the first. */
  interface Comparison {
    baseline: string;
    lanes: (ComparedLane)[];
  }
  /** The first token (from 0) that differs from the baseline's, and why. */
  interface Divergence {
    index: number;
    kind: "retokenized" | "numeric" | "sampled" | "ties" | "rule" | "lossy" | "remote" | "unexplained";
    detail: string;
  }
  /** On what a figure was taken: versions, hardware, and settings that change times. */
  interface Environment {
    kvdemo: string;
    python: string;
    torch: string;
    transformers: string;
    platform: string;
    cpu: string;
    threads: number;
    openmp: string;
    gpu: string | null;
    gpu_memory_bytes: number | null;
    cuda: string | null;
    driver: string | null;
    attention: string | null;
    attention_kernels: (string)[] | null;
    attention_line: string | null;
    spread: Record<string, number> | null;
    float32_matmul: string;
    git_revision: string | null;
  }
  /** One thing that the race showed. Lanes are indices: the lane that it is about, then what it is compared with. */
  interface Finding {
    kind: "alone" | "nothing_compared" | "faster" | "slower" | "same_time" | "unequal_search" | "too_short" | "no_clock" | "work" | "same_first_step" | "nothing_to_reuse" | "no_time_saved" | "small_gain" | "same_text" | "divergence" | "groups" | "contention" | "best" | "remark" | "failed" | "stopped";
    lanes: (number)[];
    numbers: Record<string, number | boolean | (number)[] | ((number)[])[]>;
    text: string;
    reason: "retokenized" | "numeric" | "sampled" | "ties" | "rule" | "lossy" | "remote" | "unexplained" | null;
  }
  /** One forward pass: `positions` new ones in each of `rows`, which attend to `context` positions. */
  interface ForwardPass {
    rows: number;
    positions: number;
    context: number;
    logits: number;
    rejected: number;
    draft: boolean;
    beyond: number;
  }
  /** A strategy with its settings, and all that it did. */
  interface Lane {
    strategy: string;
    options: Record<string, number | string>;
    sampling: Record<string, number | string>;
    no_candidates?: string;
    status: "done" | "stopped" | "failed";
    finish_reason: "length" | "eos" | "stopped" | "error";
    error: string | null;
    tokens: (number | null)[];
    text: string;
    steps: (Step)[];
    metrics: Metrics;
    remarks: (string)[];
    beams?: ((BeamNode)[])[];
    requests?: Requests;
  }
  /** A lane in figures. What is undefined is null. */
  interface Metrics {
    tokens: number;
    ttft_s: number | null;
    tpot_s: number | null;
    itl_s: Spread | null;
    e2e_s: number;
    tokens_per_s: number | null;
    tokenize_s: number;
    positions: number | null;
    levels: number | null;
    level_s: number | null;
    mean_logprob: number | null;
    perplexity: number | null;
    distinct_2: number | null;
    repeated_4gram: number | null;
  }
  /** Facts of the model that ran. */
  interface Model {
    id: string;
    source: Source;
    revision: string | null;
    dtype: string;
    device: string;
    random_weights: boolean;
    parameters: number;
    weight_bytes: number;
    layers: number | null;
    heads: number | (number)[] | null;
    kv_heads: number | (number)[] | null;
    head_dim: number | (number)[] | null;
    vocab_size: number;
    context_length: number | null;
    chat_template: boolean;
    attention: string | null;
  }
  /** The prompt as it was asked for, as the model read it (with its chat template), and the ids of that. */
  interface Prompt {
    text: string;
    model_text: string;
    tokens: (number)[];
  }
  /** One of several equal requests. Seconds count from its own sending; null for one that failed. */
  interface Request {
    tokens: number;
    ttft_s: number | null;
    tpot_s: number | null;
    e2e_s: number | null;
    same_text: boolean;
    error: string | null;
  }
  /** Equal requests that a lane has sent at once. Those that failed are not part of the sums. */
  interface Requests {
    tokens: number;
    seconds: number;
    tokens_per_s: number | null;
    equal_texts: number;
    each: (Request)[];
  }
  /** The rests of a race between its steps, while a page on the same machine drew it. No step's time has any of it. */
  interface Rests {
    count: number;
    seconds: number;
  }
  /** Settings */
  interface Settings {
    max_new_tokens: number;
    chat: boolean;
    temperature: number;
    top_p: number;
    seed: number;
    ignore_eos: boolean;
  }
  /** Where a model came from, and what a reader can look up: an id, a package, a path. */
  interface Source {
    kind: "folder" | "hub cache" | "hub" | "pypi" | "random weights";
    location: string;
  }
  /** The gaps between a lane's tokens. `p99` is null below a hundred of them. */
  interface Spread {
    mean: number;
    p50: number;
    p90: number;
    p99: number | null;
    max: number;
  }
  /** The distribution from which a token was chosen, after one rule of the lane. */
  interface Stage {
    name: string;
    survivors: number;
    entropy: number;
  }
  /** One turn of a lane: the tokens that it committed, and what they took. */
  interface Step {
    tokens: number;
    seconds: number;
    positions: number | null;
    cache_bytes: number | null;
    tokenize_seconds: number;
    logprobs: (number | null)[];
    entropies: (number | null)[];
    texts: (string)[];
    details?: Record<string, number>;
    passes?: (ForwardPass)[];
    input?: string;
    candidates?: (Candidates | null)[];
  }
  /** The outcome. The first finding's text is the headline, those of the others are the sentences. */
  interface Verdict {
    headline: string;
    sentences: (string)[];
    findings: (Finding)[];
  }
  /** A race of several decoding strategies on one prompt. The first lane is the baseline. */
  interface RaceDocument {
    schema: 1;
    environment: Environment;
    model: Model;
    prompt: Prompt;
    settings: Settings;
    schedule: "fair" | "simultaneous";
    lanes: (Lane)[];
    comparison: Comparison;
    verdict: Verdict;
    rests?: Rests;
  }
}

declare namespace measure {
  /** One prompt length and one number of new tokens: figures by lane, medians and their range, and why. */
  interface Cell {
    prompt_tokens: number;
    new_tokens: number;
    n: Record<string, number>;
    seconds: Record<string, number | null>;
    range: Record<string, [number, number] | null>;
    speedup: Record<string, number | null>;
    bound: Record<string, "launch" | "library" | "bandwidth" | "compute" | null>;
    reason: string;
  }
  /** A lane's end-to-end time against the baseline's, with its 95 % interval; null where that cannot be said. */
  interface ComparedLane {
    strategy: string;
    speedup: number | null;
    low: number | null;
    high: number | null;
    significant: boolean | null;
    statement: string;
  }
  /** All lanes but the first against the first. */
  interface Comparison {
    baseline: string;
    lanes: (ComparedLane)[];
  }
  /** On what a figure was taken: versions, hardware, and settings that change times. */
  interface Environment {
    kvdemo: string;
    python: string;
    torch: string;
    transformers: string;
    platform: string;
    cpu: string;
    threads: number;
    openmp: string;
    gpu: string | null;
    gpu_memory_bytes: number | null;
    cuda: string | null;
    driver: string | null;
    attention: string | null;
    attention_kernels: (string)[] | null;
    attention_line: string | null;
    spread: Record<string, number> | null;
    float32_matmul: string;
    git_revision: string | null;
  }
  /** One forward pass: `positions` new ones in each of `rows`, which attend to `context` positions. */
  interface ForwardPass {
    rows: number;
    positions: number;
    context: number;
    logits: number;
    rejected: number;
    draft: boolean;
    beyond: number;
  }
  /** One lane and its runs. */
  interface Lane {
    strategy: string;
    name: string;
    options: Record<string, number | string>;
    sampling: Record<string, number | string>;
    status: "waiting" | "running" | "done" | "stopped" | "failed";
    error: string | null;
    runs: (Run)[];
    statistics: Statistics | null;
    warning: string | null;
    remarks: (string)[];
    tokens: (number)[];
    text: string;
    deterministic: boolean;
    latency: ([number, number])[];
    passes: ((ForwardPass)[])[] | null;
    memory: LaneMemory;
    roofline: LaneRoofline | null;
  }
  /** What a lane held at its end, against the formula; the allocator's peak, or why there is none. */
  interface LaneMemory {
    cache_bytes: number | null;
    cache_bytes_formula: number | null;
    cache_bytes_formula_note: string | null;
    peak_bytes: number | null;
    peak_note: string | null;
  }
  /** Decode steps against what the device allows for. `bound` is null where a limit was measured too low. */
  interface LaneRoofline {
    basis: "predicted";
    steps: number;
    passes: number;
    floor_s: number;
    achieved_bytes_per_s: number;
    percent_of_floor: number;
    bound: "launch" | "library" | "bandwidth" | "compute" | null;
    operations_per_pass: number | null;
    reason: string;
  }
  /** What the formula says of this model's cache; null where it never outgrows the weights. */
  interface Memory {
    basis: "formula";
    weight_bytes: number;
    bytes_per_token: number;
    at: (Size)[];
    outgrows_weights_at: number | null;
  }
  /** Facts of the model that ran. */
  interface Model {
    id: string;
    source: Source;
    revision: string | null;
    dtype: string;
    device: string;
    random_weights: boolean;
    parameters: number;
    weight_bytes: number;
    layers: number | null;
    heads: number | (number)[] | null;
    kv_heads: number | (number)[] | null;
    head_dim: number | (number)[] | null;
    vocab_size: number;
    context_length: number | null;
    chat_template: boolean;
    attention: string | null;
  }
  /** The device's ceilings as they were measured. The last three are null where they do not apply. */
  interface Peaks {
    basis: "measured";
    copy_bytes_per_s: number;
    matvec_bytes_per_s: number;
    matmul_flops_per_s: number;
    launch_s: number;
    read_bytes_per_s: number | null;
    eager_bytes_per_s: number | null;
    packed_bytes_per_s: number | null;
  }
  /** The prompt as it was asked for, as the model read it (with its chat template), and the ids of that. */
  interface Prompt {
    text: string;
    model_text: string;
    tokens: (number)[];
  }
  /** A figure that others have published: seconds for a whole text, or tokens a second. */
  interface Published {
    basis: "published";
    device: string;
    model: string;
    new_tokens: number | null;
    what: string;
    source: string;
    mean_s: number | null;
    std_s: number | null;
    tokens_per_s: number | null;
    speedup: number | null;
  }
  /** The least seconds of a step at each of some contexts, with a cache and without. */
  interface Roofline {
    basis: "predicted";
    context: (number)[];
    decode_floor_s: (number)[];
    no_cache_floor_s: (number)[];
  }
  /** One timed run of a lane. */
  interface Run {
    repeat: number;
    position: number;
    tokens: number;
    e2e_s: number;
    ttft_s: number | null;
    decode_s: number;
    tpot_s: number | null;
    tokenize_s: number;
    tokens_per_s: number | null;
    levels: number | null;
    level_s: number | null;
  }
  /** Settings */
  interface Settings {
    max_new_tokens: number;
    chat: boolean;
    temperature: number;
    top_p: number;
    seed: number;
    ignore_eos: boolean;
    repeats: number;
    warmup: number;
    sweep_prompt: (number)[];
    sweep_tokens: (number)[];
    strategies: (string)[];
  }
  /** Bytes of the cache of one sequence of a length. */
  interface Size {
    positions: number;
    bytes: number;
  }
  /** Where a model came from, and what a reader can look up: an id, a package, a path. */
  interface Source {
    kind: "folder" | "hub cache" | "hub" | "pypi" | "random weights";
    location: string;
  }
  /** Each figure over the runs; ITL over the gaps of all runs. Null where it is undefined. */
  interface Statistics {
    e2e_s: Summary | null;
    ttft_s: Summary | null;
    decode_s: Summary | null;
    tpot_s: Summary | null;
    tokenize_s: Summary | null;
    tokens_per_s: Summary | null;
    level_s: Summary | null;
    itl_s: Summary | null;
  }
  /** Samples in figures. `std` is null for one sample, `p99` below a hundred. */
  interface Summary {
    n: number;
    mean: number;
    std: number | null;
    median: number;
    p90: number;
    p99: number | null;
    min: number;
    max: number;
  }
  /** The break-even sweep. */
  interface Sweep {
    baseline: string;
    cells: (Cell)[];
  }
  /** A measurement of decoding strategies, each alone on the device. The first lane is the baseline. */
  interface MeasureDocument {
    schema: 1;
    kind: "measure";
    run_id: string;
    started_at: string;
    status: "running" | "done" | "stopped" | "failed";
    error: string | null;
    environment: Environment;
    model: Model;
    prompt: Prompt;
    settings: Settings;
    limits: Peaks | null;
    lanes: (Lane)[];
    comparison: Comparison;
    sweep: Sweep | null;
    roofline: Roofline | null;
    memory: Memory | null;
    published: (Published)[];
    notes: (string)[];
  }
}

declare namespace plan {
  /** How the cache grows, and how large it is. */
  interface Cache {
    basis: "formula";
    bytes_per_token: number;
    bytes_per_token_past_windows: number;
    constant_bytes: number;
    at: (Size)[];
    at_context: SizeAtContext;
    curve: (Size)[];
    outgrows_weights_at: number | null;
    repeated_bytes_per_token: number | null;
  }
  /** The least that a decode step can take, from the bytes that it reads. */
  interface Decode {
    basis: "predicted";
    bytes_read: number;
    ms_per_token: number;
    tokens_per_s: number;
    batch_tokens_per_s: number;
  }
  /** What fits into the memory that the weights leave. `largest_context` is null where the cache stops growing. */
  interface Fit {
    basis: "formula";
    weights_fit: boolean;
    free_bytes: number;
    largest_context: number | null;
    largest_batch: number;
    fits: boolean;
    needed_bytes: number;
  }
  /** The model's shape, from its configuration. */
  interface Model {
    name: string;
    attention: "multi-head" | "grouped-query" | "multi-query" | "latent";
    layers: number;
    layer_kinds: Record<string, number>;
    heads: number | (number)[];
    kv_heads: (number)[];
    head_dim: (number)[];
    hidden_size: number;
    vocab_size: number;
    context_length: number | null;
    basis: "formula";
    parameters: number;
    active_parameters: number;
  }
  /** The machine, and the load that is planned: `batch` sequences of `context` positions each. */
  interface Settings {
    memory_bytes: number;
    bandwidth_bytes_per_s: number;
    dtype: string;
    cache_dtype: string;
    context: number;
    batch: number;
  }
  /** Bytes of the cache of one sequence of a length. */
  interface Size {
    positions: number;
    bytes: number;
  }
  /** The cache of one sequence at the plan's context, and of all sequences. */
  interface SizeAtContext {
    positions: number;
    bytes: number;
    batch_bytes: number;
  }
  /** Bytes of all weights, and of those that a step for one token reads. */
  interface Weights {
    basis: "formula";
    bytes: number;
    read_bytes_per_token: number;
  }
  /** What a model's cache needs of a machine: formulas and one prediction. Nothing in it was measured. */
  interface PlanDocument {
    schema: 1;
    kind: "plan";
    model: Model;
    settings: Settings;
    weights: Weights;
    cache: Cache;
    fit: Fit;
    decode: Decode;
    headline: string;
    sentences: (string)[];
    notes: (string)[];
  }
}

declare namespace comparison {
  /** Something that both files state, and state differently. */
  interface Difference {
    field: string;
    a: string | number | number | boolean | null;
    b: string | number | number | boolean | null;
  }
  /** One figure of a lane on both sides. */
  interface Figure {
    a: Summary;
    b: Summary;
    ratio: number;
    low: number | null;
    high: number | null;
    significant: boolean | null;
    statement: string;
    claim: string;
    speedup: Speedup;
  }
  /** The figures that both sides have. */
  interface Figures {
    e2e_s?: Figure;
    ttft_s?: Figure;
    tpot_s?: Figure;
    level_s?: Figure;
  }
  /** A lane that both files have. */
  interface Lane {
    strategy: string;
    name: string;
    same_work: boolean;
    tokens: Tokens;
    metrics: Figures;
    warnings: (string)[];
  }
  /** How many times as fast B is, with its interval; `text` has the numbers that are not null, as people read them. */
  interface Speedup {
    ratio: number;
    low: number | null;
    high: number | null;
    text: (string)[];
  }
  /** Samples in figures. `std` is null for one sample, `p99` below a hundred. */
  interface Summary {
    n: number;
    mean: number;
    std: number | null;
    median: number;
    p90: number;
    p99: number | null;
    min: number;
    max: number;
  }
  /** How many tokens a lane's runs wrote: each number that occurs. */
  interface Tokens {
    a: (number)[];
    b: (number)[];
  }
  /** Two races or measurements against each other. Settings of a lane that differ are among `differences` too. */
  interface ComparisonDocument {
    schema: 1;
    kind: "comparison";
    like_with_like: boolean;
    headline: string;
    differences: (Difference)[];
    lanes: (Lane)[];
    only_a: (string)[];
    only_b: (string)[];
    notes: (string)[];
  }
}

declare namespace inside {
  /** Attention weights of one head of one layer over the text; `rows[q][k]` is query q's weight on key k, k <= q. */
  interface AttentionPanel {
    layer: number;
    head: number;
    layers: number;
    heads: number;
    rows: ((number)[])[];
  }
  /** Layers whose caches have the same shapes throughout. */
  interface CacheLayers {
    layers: (number)[];
    kind: "full" | "sliding" | "state" | "other";
    key_shape: (number)[] | null;
    value_shape: (number)[] | null;
    lengths: (number)[];
    bytes: (number)[];
  }
  /** Why a panel, or a part of one, cannot be shown: one sentence. */
  interface Cannot {
    cannot: string;
  }
  /** One step of greedy decoding, with a cache and without, counted for the same text. */
  interface DecodingStep {
    token: number;
    length: number;
    positions: number;
    positions_all: number;
    products: number;
    products_all: number;
    products_so_far: number;
    products_all_so_far: number;
    cache_bytes: number;
    formula_bytes: number | null;
    flops: number | null;
    flops_all: number | null;
  }
  /** On what a figure was taken: versions, hardware, and settings that change times. */
  interface Environment {
    kvdemo: string;
    python: string;
    torch: string;
    transformers: string;
    platform: string;
    cpu: string;
    threads: number;
    openmp: string;
    gpu: string | null;
    gpu_memory_bytes: number | null;
    cuda: string | null;
    driver: string | null;
    attention: string | null;
    attention_kernels: (string)[] | null;
    attention_line: string | null;
    spread: Record<string, number> | null;
    float32_matmul: string;
    git_revision: string | null;
  }
  /** The comparison in one number format; the text is that of the model's own format throughout. */
  interface Format {
    dtype: string;
    steps: (LogitStep)[];
    largest_difference: number;
    smallest_margin: number;
  }
  /** One formula with this model's numbers. */
  interface Formula {
    name: string;
    formula: string;
    numbers: string;
    unit: string;
    terms: (Term)[];
    value: number | null;
    about: string;
  }
  /** The formulas of the cache with this model's numbers. */
  interface FormulasPanel {
    batch: number;
    length: number;
    formulas: (Formula)[];
  }
  /** The largest difference of a layer's hidden states at the positions that both texts share. */
  interface LayerDifference {
    layer: number;
    largest_difference: number;
    scale: number;
    tolerance: number;
    holds: boolean;
  }
  /** The cache as a tuple of (keys, values) a layer, there and back, and through a file. */
  interface LegacyPanel {
    layers: number;
    shapes: ((number)[])[];
    other_shapes: (((number)[])[])[];
    bytes: number;
    file_bytes: number;
    note: string | null;
    tokens: (number)[];
    pieces: (string)[];
    converted: (number)[];
    resumed: (number)[];
    same: boolean;
  }
  /** Cached against uncached logits that one token is chosen from. Those without a cache are of one pass over all. */
  interface LogitStep {
    token: number;
    piece: string;
    largest_difference: number;
    margin: number;
    same: boolean;
    cached: string;
    uncached: string;
  }
  /** The source of a strategy. */
  interface Loop {
    strategy: string;
    name: string;
    path: string;
    lines: (SourceLine)[];
  }
  /** The two loops side by side. `pairs` are the lines that face each other: indices into both, null for a gap. */
  interface LoopsPanel {
    loops: (Loop)[];
    pairs: ((number | null)[])[];
  }
  /** Facts of the model that ran. */
  interface Model {
    id: string;
    source: Source;
    revision: string | null;
    dtype: string;
    device: string;
    random_weights: boolean;
    parameters: number;
    weight_bytes: number;
    layers: number | null;
    heads: number | (number)[] | null;
    kv_heads: number | (number)[] | null;
    head_dim: number | (number)[] | null;
    vocab_size: number;
    context_length: number | null;
    chat_template: boolean;
    attention: string | null;
  }
  /** The panels that were asked for and are computed. */
  interface Panels {
    steps?: StepsPanel | Cannot;
    attention?: AttentionPanel | Cannot;
    past?: PastPanel | Cannot;
    roles?: RolesPanel | Cannot;
    rounding?: RoundingPanel | Cannot;
    scratch?: ScratchPanel | Cannot;
    formulas?: FormulasPanel | Cannot;
    loops?: LoopsPanel | Cannot;
    legacy?: LegacyPanel | Cannot;
  }
  /** Hidden states before and after a text is appended. */
  interface PastPanel {
    text: string;
    appended: string;
    shared: number;
    note: string | null;
    tolerance: number;
    layers: (LayerDifference)[];
    holds: boolean;
    bidirectional: (LayerDifference)[] | Cannot;
  }
  /** The prompt as it was asked for, as the model read it (with its chat template), and the ids of that. */
  interface Prompt {
    text: string;
    model_text: string;
    tokens: (number)[];
  }
  /** Which of query, key and value of a past position a later token reads. */
  interface RolesPanel {
    layer: number;
    layers: number;
    appended: string;
    asking: string;
    note: string | null;
    query_shape: (number)[];
    key_shape: (number)[];
    value_shape: (number)[];
    rows: (Row)[];
    bytes: number;
    query_bytes: number;
  }
  /** Why cached and uncached logits are equal up to rounding, and what that decides. */
  interface RoundingPanel {
    formats: (Format | UnsupportedFormat)[];
    note: string | null;
    sum: SplitSum;
    scatter: ScatterAdd;
  }
  /** A position of the text in one layer: how far appending a token changes its query, key and value. */
  interface Row {
    position: number;
    piece: string;
    query_difference: number;
    key_difference: number;
    value_difference: number;
    weight: number;
  }
  /** A scatter-add with repeated indices, several times over. */
  interface ScatterAdd {
    numbers: number;
    slots: number;
    runs: number;
    results: number;
    largest_difference: number;
    sentence: string;
  }
  /** Attention with preallocated key and value buffers, fed token by token, against full causal attention. */
  interface ScratchPanel {
    path: string;
    source: string;
    buffer_shape: (number)[];
    steps: (ScratchStep)[];
    largest_difference: number;
    tolerance: number;
    holds: boolean;
  }
  /** One call of the attention from scratch: positions written at `start_pos`, and its difference from the whole. */
  interface ScratchStep {
    start_pos: number;
    positions: number;
    buffer_used: number;
    largest_difference: number;
  }
  /** Settings */
  interface Settings {
    max_new_tokens: number;
    chat: boolean;
    append: string;
    panels: (string)[];
    layer: number;
    head: number;
    batch: number;
    length: number;
    dim: number;
    heads: number;
    positions: number;
    seed: number;
  }
  /** Where a model came from, and what a reader can look up: an id, a package, a path. */
  interface Source {
    kind: "folder" | "hub cache" | "hub" | "pypi" | "random weights";
    location: string;
  }
  /** A line of a file; `only` is true where the other file has no such line. */
  interface SourceLine {
    number: number;
    text: string;
    only: boolean;
  }
  /** A float32 sum of random numbers, whole and split in two; `exact` is the sum without rounding. */
  interface SplitSum {
    numbers: number;
    whole: number;
    split: number;
    exact: number;
    difference: number;
  }
  /** Decoding step by step. */
  interface StepsPanel {
    pieces: (string)[];
    tokens: (number)[];
    prompt_tokens: number;
    steps: (DecodingStep)[];
    totals: Record<string, number>;
    caches: (CacheLayers)[];
    attends: boolean;
    note: string | null;
    ended: "length" | "eos" | "given" | null;
  }
  /** `coefficient` · batch^batch · c^length, where c is the length, or what one of these makes of it. */
  interface Term {
    coefficient: number;
    batch: number;
    length: number;
    cap?: number;
    chunk?: number;
    group?: number;
    part?: "weights" | "attention" | "cache";
  }
  /** A number format in which the model cannot run here. */
  interface UnsupportedFormat {
    cannot: string;
    dtype: string;
  }
  /** What a model computes and keeps for one text. */
  interface InsideDocument {
    schema: 1;
    kind: "inside";
    status: "running" | "done" | "stopped";
    environment: Environment;
    model: Model;
    prompt: Prompt;
    settings: Settings;
    panels: Panels;
  }
}

declare namespace core {
  /** How a lane introduces itself. `summary` is one line on what it does; `options` holds every setting's value. */
  interface LaneInfo {
    strategy: string;
    name: string;
    summary: string;
    lossless: boolean;
    options: Record<string, number | string>;
    elsewhere: boolean;
    searches: boolean;
    sampling: Record<string, number | string>;
    no_candidates: string;
  }
  /** A setting of a strategy: a control in the page, and what a link or a command line may set. */
  interface Option {
    default: number | string;
    label: string;
    about: string;
    low: number;
    high: number;
    choices: (string)[];
    named_in: string;
    longest: number | null;
  }
  /** What a strategy's steps compute and keep. Where a number is a setting of the strategy, its name stands for it. */
  interface Picture {
    computes: "all" | "new" | "drafted" | "elsewhere";
    keeps: "nothing" | "all" | "reserved" | "window" | "packed" | "host" | "elsewhere";
    draft: string;
    window: string;
    sinks: string;
    packing: string;
    bits: Record<string, number>;
    in_full: Record<string, number>;
  }
  /** What a strategy states about itself, and where its class is. `description` is the class docstring. */
  interface StrategyInfo {
    id: string;
    name: string;
    summary: string;
    lossless: boolean;
    description: string;
    module: string;
    options: Record<string, Option>;
    elsewhere: boolean;
    class_name: string;
    recomputes: boolean;
    searches: boolean;
    rows_from: string;
    prefills_once: boolean;
    drafts_from: string;
    eager: boolean;
    keeps_prefix: boolean;
    samples: boolean;
    picture: Picture | null;
  }
}
