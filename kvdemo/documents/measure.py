"""Define the document of a measurement. It is whole at any moment: what is not known yet is null or empty."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from typing_extensions import TypedDict

from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.types import Bound
from kvdemo.documents.common import Environment, ForwardPass, Model, Prompt, Size, Summary, Version
from kvdemo.documents.settings import SettingsOf


class Peaks(TypedDict):
    """The device's ceilings as they were measured. The last three are null where they do not apply."""

    basis: Literal["measured"]
    copy_bytes_per_s: float
    matvec_bytes_per_s: float
    matmul_flops_per_s: float
    launch_s: float
    read_bytes_per_s: float | None
    eager_bytes_per_s: float | None
    packed_bytes_per_s: float | None


class Run(TypedDict):
    """One timed run of a lane.

    position  the lane's place in the order of this repeat
    decode_s  seconds after the first step
    levels    of a search
    """

    repeat: int
    position: int
    tokens: int
    e2e_s: float
    ttft_s: float | None
    decode_s: float
    tpot_s: float | None
    tokenize_s: float
    tokens_per_s: float | None
    levels: int | None
    level_s: float | None


class Statistics(TypedDict):
    """Each figure over the runs; ITL over the gaps of all runs. Null where it is undefined."""

    e2e_s: Summary | None
    ttft_s: Summary | None
    decode_s: Summary | None
    tpot_s: Summary | None
    tokenize_s: Summary | None
    tokens_per_s: Summary | None
    level_s: Summary | None
    itl_s: Summary | None


class LaneMemory(TypedDict):
    """What a lane held at its end, against the formula; the allocator's peak, or why there is none."""

    cache_bytes: int | None
    cache_bytes_formula: int | None
    cache_bytes_formula_note: str | None
    peak_bytes: int | None
    peak_note: str | None


class LaneRoofline(TypedDict):
    """Decode steps against what the device allows for. `bound` is null where a limit was measured too low."""

    basis: Literal["predicted"]
    steps: int
    passes: int
    floor_s: float
    achieved_bytes_per_s: float
    percent_of_floor: float
    bound: Bound | None
    operations_per_pass: float | None
    reason: str


class Lane(TypedDict):
    """One lane and its runs.

    strategy       its spec: the id, and what was set of its options and of its sampling
    options        all settings of the strategy
    sampling       the settings by which its tokens were chosen, as they are in effect; empty for a rule of its own
    warning        one sentence where the runs scatter widely
    deterministic  whether all runs chose the same tokens
    latency        context and seconds of each step, the median over the runs
    passes         of each step of the first run; null where each step is one pass of one row
    """

    strategy: str
    name: str
    options: dict[str, float | str]
    sampling: dict[str, float | str]
    status: Literal["waiting", "running", "done", "stopped", "failed"]
    error: str | None
    runs: list[Run]
    statistics: Statistics | None
    warning: str | None
    remarks: list[str]
    tokens: list[int]
    text: str
    deterministic: bool
    latency: list[tuple[int, float]]
    passes: list[list[ForwardPass]] | None
    memory: LaneMemory
    roofline: LaneRoofline | None


class ComparedLane(TypedDict):
    """A lane's end-to-end time against the baseline's, with its 95 % interval; null where that cannot be said."""

    strategy: str
    speedup: float | None
    low: float | None
    high: float | None
    significant: bool | None
    statement: str


class Comparison(TypedDict):
    """All lanes but the first against the first."""

    baseline: str
    lanes: list[ComparedLane]


class Cell(TypedDict):
    """One prompt length and one number of new tokens: figures by lane, medians and their range, and why.

    A search that ran to more tokens has no figures here: its `n` is 0, the others are null, and it has no `bound`.
    """

    prompt_tokens: int
    new_tokens: int
    n: dict[str, int]
    seconds: dict[str, float | None]
    range: dict[str, tuple[float, float] | None]
    speedup: dict[str, float | None]
    bound: dict[str, Bound | None]
    reason: str


class Sweep(TypedDict):
    """The break-even sweep."""

    baseline: str
    cells: list[Cell]


class Roofline(TypedDict):
    """The least seconds of a step at each of some contexts, with a cache and without."""

    basis: Literal["predicted"]
    context: list[int]
    decode_floor_s: list[float]
    no_cache_floor_s: list[float]


class Memory(TypedDict):
    """What the formula says of this model's cache; null where it never outgrows the weights."""

    basis: Literal["formula"]
    weight_bytes: int
    bytes_per_token: int
    at: list[Size]
    outgrows_weights_at: int | None


class Published(TypedDict):
    """A figure that others have published: seconds for a whole text, or tokens a second."""

    basis: Literal["published"]
    device: str
    model: str
    new_tokens: int | None
    what: str
    source: str
    mean_s: float | None
    std_s: float | None
    tokens_per_s: float | None
    speedup: float | None


class MeasureDocument(TypedDict):
    """A measurement of decoding strategies, each alone on the device. The first lane is the baseline.

    started_at                UTC, ISO 8601
    limits, roofline, memory  null where the device was not measured, or the model's shape is not understood
    sweep                     null where none was asked for
    """

    schema: Version
    kind: Literal["measure"]
    run_id: str
    started_at: str
    status: Literal["running", "done", "stopped", "failed"]
    error: str | None
    environment: Environment
    model: Model
    prompt: Prompt
    settings: Annotated[dict[str, Any], SettingsOf(MeasureRequest, strategies=list[str])]
    limits: Peaks | None
    lanes: list[Lane]
    comparison: Comparison
    sweep: Sweep | None
    roofline: Roofline | None
    memory: Memory | None
    published: list[Published]
    notes: list[str]
