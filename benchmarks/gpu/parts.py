"""Define the parts of the GPU benchmark: what each claims, and how it is measured.

Ratios are medians of ratios that are paired by position: two runs of one lane on the same text, or two lanes whose
steps alternate.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

from benchmarks.figure import Figure
from benchmarks.gpu.models import Models
from benchmarks.measures import recording
from benchmarks.tools import lockstep
from kvdemo import strategies
from kvdemo.core.events import Finished, RaceEvent, Started
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import TimedStep
from kvdemo.engine.start_lane import start_lane
from kvdemo.measure.roofline.bounds import RooflineModel
from kvdemo.measure.roofline.device_peaks import DevicePeaks, measure_peaks
from kvdemo.measure.single_run import Trial, take
from kvdemo.models.facts import architecture
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network import attention
from kvdemo.race import session
from kvdemo.race.check import check_race
from kvdemo.strategies.kv_cache.compiling import compiled_step

#: The unit of figures that are counted, not timed: they are judged on any machine.
COUNT = "count"
#: Where compiled code is kept; empty at the start, so that this process compiles.
CACHE_FOLDER = "KVDEMO_CACHE_DIR"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Part:
    """`seconds` is what it may take on an H100, loading and compiling included."""

    name: str
    shape: str
    seconds: float
    run: Callable[[Models, str], Iterator[Figure]]


def text_of(tokens: int, first: str = "a") -> str:
    """Write a prompt of so many tokens for the tokenizer of random weights, where a byte is a token."""
    return (first + "bcdefghij" * (tokens // 9 + 1))[:tokens]


def run_lane(model: LoadedModel, strategy: str, prompt: str, new_tokens: int) -> Trial:
    """Run a lane once as a measurement does. Raises RuntimeError with its sentence where the lane fails."""
    asked = request(prompt, (strategy,), new_tokens)
    (chosen,), checked = check_race(asked, model)
    lane = start_lane(chosen, asked, model, checked, new_tokens)
    trial = take(lane, model, threading.Event())
    if trial.error:
        raise RuntimeError(f"{strategy}: {trial.error}")
    return trial


def request(prompt: str, lanes: Sequence[str], new_tokens: int) -> RaceRequest:
    """Ask for a race without end of text: a random model may write it at any place."""
    return RaceRequest(prompt, strategies=tuple(lanes), max_new_tokens=new_tokens, chat=False, ignore_eos=True)


def race(model: LoadedModel, prompt: str, lanes: Sequence[str], new_tokens: int) -> tuple[Finished, int]:
    """Run a race, and count the graphs that torch compiled while its clock ran."""
    at_start = 0

    def emit(event: RaceEvent) -> None:
        nonlocal at_start
        if isinstance(event, Started):
            at_start = compiled_graphs()

    finished = session.run(request(prompt, lanes, new_tokens), model, emit, threading.Event())
    if failed := [lane["error"] for lane in finished.document["lanes"] if lane["status"] == "failed"]:
        raise RuntimeError(failed[0])
    return finished, compiled_graphs() - at_start


def compiled_graphs() -> int:
    """Count the graphs that this process has compiled."""
    from torch._dynamo.utils import counters  # noqa: PLC0415 - slow to import, and only compiled parts need it

    return int(counters["stats"]["unique_graphs"])


def decode_seconds(steps: Sequence[TimedStep]) -> list[float]:
    """Return the seconds of each step without the first, which is the prefill."""
    return [step.seconds for step in steps[1:]]


def paired(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Calculate the median of the ratios at the same positions."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def limits_of(model: LoadedModel) -> DevicePeaks:
    """Measure what the device reaches in the model's number format."""
    found = measure_peaks(model.device, model.dtype, threading.Event())
    if found is None:
        raise RuntimeError("nobody stops a benchmark")
    return found


@contextmanager
def cudnn(device: torch.device, on: str) -> Iterator[None]:
    """Switch cuDNN's attention on or off, as the environment variable does, and back afterwards."""
    before = os.environ.get(attention.SETTING)
    os.environ[attention.SETTING] = on
    attention.choose(device)
    try:
        yield
    finally:
        os.environ.pop(attention.SETTING)
        if before is not None:
            os.environ[attention.SETTING] = before
        attention.choose(device)


def new_lengths(models: Models, shape: str) -> Iterator[Figure]:
    """Run the same lengths twice: the first time must not cost more, with cuDNN's attention off."""
    model = models.get(shape)
    new = 12 if models.tiny else 24
    run_lane(model, "dynamic_cache", text_of(16), 4)  # wakes the device
    for n, (on, target) in enumerate((("0", 1.05), ("1", None)) if model.device.type == "cuda" else (("0", 1.05),)):
        with cudnn(model.device, on):
            prompt = text_of(100 + 2 * n * new)
            first, again = (decode_seconds(run_lane(model, "dynamic_cache", prompt, new).steps) for _ in range(2))
        named = f"cuDNN {'on, for reference' if on == '1' else 'off'}"
        yield Figure(f"step at a new length / the same length again, {named}", paired(first, again), "×", target)
        yield Figure(f"step at a new length, {named}", median(first) * 1e3, "ms")


def lanes_of(model: LoadedModel) -> list[str]:
    """List lanes to compare; the compiled one where its step is compiled already, which takes a minute."""
    lanes = ["no_cache", "dynamic_cache"]
    if (
        strategies.get("compiled_cache").unavailable_reason(model) is None
        and compiled_step.compiled_for(model).seconds is not None
    ):
        lanes.append("compiled_cache")
    return lanes


def race_and_measure(models: Models, shape: str) -> Iterator[Figure]:
    """Run the same lanes in a race and in a measurement, in turns."""
    model = models.get(shape)
    new, rounds, prompt = 8 if models.tiny else 16, lockstep.LEAST_ROUNDS, text_of(40 if models.tiny else 200)
    lanes = lanes_of(model)
    raced, alone = ({lane: np.zeros((rounds, new - 1)) for lane in lanes} for _ in range(2))
    for turn in range(rounds):
        finished, _ = race(model, prompt, lanes, new)
        for lane in finished.document["lanes"]:
            name = lane["strategy"]
            raced[name][turn] = [step["seconds"] for step in lane["steps"]][1:]
            alone[name][turn] = decode_seconds(run_lane(model, name, prompt, new).steps)
    for lane in lanes:
        found = lockstep.ratio(raced[lane], alone[lane])
        yield Figure(f"{lane}: step in a race / in a measurement", found.value, "×", None, interval=found.interval)
        off = sorted(abs(bound - 1) for bound in found.interval)
        least = 0.0 if found.low <= 1 <= found.high else off[0]
        name = f"{lane}: |step in a race / in a measurement - 1|"
        yield Figure(name, abs(found.value - 1), "", 0.05, interval=(least, off[1]))


def recorded(models: Models, shape: str) -> Iterator[Figure]:
    """Time an eager and a compiled step, with and without what is recorded of each choice."""
    model = models.get(shape)
    for strategy in ("dynamic_cache", "compiled_cache"):
        yield from recording.run(model, strategy, lockstep.LEAST_ROUNDS, 8 if models.tiny else 16)


def two_compiled(models: Models, shape: str) -> Iterator[Figure]:
    """Time two compiled lanes in one race against one alone."""
    model = models.get(shape)
    new, prompt = (12, text_of(40)) if models.tiny else (96, text_of(200))

    def steps(lanes: Sequence[str]) -> tuple[list[list[float]], int]:
        finished, compiled = race(model, prompt, lanes, new)
        return [[step["seconds"] for step in lane["steps"]][1:] for lane in finished.document["lanes"]], compiled

    before, _ = steps(["compiled_cache"])
    both, compiled = steps(["compiled_cache", "compiled_cache"])
    runs = len(compiled_step.compiled_for(model).runs)
    again, compiled_again = steps(["compiled_cache", "compiled_cache"])
    after, _ = steps(["compiled_cache"])
    alone = [(a + b) / 2 for a, b in zip(before[0], after[0], strict=True)]
    slower = max(paired(lane, alone) for lane in [*both, *again])
    yield Figure("step of two compiled lanes in one race / of one alone", slower, "×", 1.05)
    yield Figure("slowest of their steps / median step", max(map(max, both)) / median(both[0]), "×", 2)
    yield Figure("graphs compiled while their clocks ran", compiled + compiled_again, COUNT, 0)
    yield Figure(
        "graphs recorded anew for the second race", len(compiled_step.compiled_for(model).runs) - runs, COUNT, 0
    )


def peak_memory(models: Models, shape: str) -> Iterator[Figure]:
    """Measure a plain lane's peak before a compiled lane was there and beside it."""
    models.release()  # a model that has no compiled lane yet
    model = models.get(shape)
    prompt, new = text_of(64), 16
    before = run_lane(model, "dynamic_cache", prompt, new).peak_bytes
    _, compiled = race(model, prompt, ["dynamic_cache", "compiled_cache"], new)
    after = run_lane(model, "dynamic_cache", prompt, new).peak_bytes
    yield Figure("graphs compiled in a race beside a plain lane", compiled, COUNT, 0)
    if before is not None and after is not None:
        yield Figure("dynamic_cache: peak memory beside a compiled lane / without one", after / before, "×", 1.01)


def departures(models: Models, shape: str) -> Iterator[Figure]:
    """Race lanes that are lossless in float32 in the model's format: each departure has its explanation."""
    model = models.get(shape)
    finished, _ = race(model, text_of(64), lanes_of(model), 24 if models.tiny else 96)
    found = [lane["first_divergence"] for lane in finished.document["comparison"]["lanes"]]
    kinds = [departure["kind"] for departure in found if departure]
    yield Figure("lanes that depart from no_cache", len(kinds), "lanes")
    yield Figure("departures that rounding does not explain", kinds.count("unexplained"), COUNT, 0)


def classic(models: Models, shape: str) -> Iterator[Figure]:
    """Measure the articles' table: gpt2, "What is KV caching?", 1,000 new tokens."""
    model = models.get(shape)
    new, prompt = 40 if models.tiny else 1000, "What is KV caching?"
    seconds = {}
    for lane in ("no_cache", "dynamic_cache", "compiled_cache"):
        run_lane(model, lane, prompt, 8)
        seconds[lane] = run_lane(model, lane, prompt, new).seconds
        yield Figure(f"{lane}: {new:,} tokens", seconds[lane], "s")
    yield Figure("no_cache / dynamic_cache", seconds["no_cache"] / seconds["dynamic_cache"], "×")
    yield Figure("dynamic_cache / compiled_cache", seconds["dynamic_cache"] / seconds["compiled_cache"], "×")


def starts(models: Models, shape: str) -> Iterator[Figure]:
    """Time compiling in this process, which kept its code, and in the next one."""
    model = models.get(shape)
    if compiled_step.compiled_for(model).seconds is None:
        run_lane(model, "compiled_cache", text_of(64), 4)
    first = compiled_step.compiled_for(model).seconds or 0.0
    clean = {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}
    command = [sys.executable, "-m", "benchmarks.gpu.start", shape, *(["tiny"] if models.tiny else [])]
    ran = subprocess.run(command, cwd=ROOT, env=clean, check=True, stdout=subprocess.PIPE, text=True)
    second = json.loads(ran.stdout.splitlines()[-1])
    kept = sum(file.stat().st_size for file in Path(os.environ[CACHE_FOLDER]).rglob("*") if file.is_file())
    yield Figure("compiling, first process", first, "s")
    yield Figure("compiling, second process", second["compile_seconds"], "s")
    yield Figure("compiling and recording, second process", second["seconds"], "s", 20)
    yield Figure("compiling, second process / first", second["compile_seconds"] / first, "×", 0.6)
    yield Figure("kept on the disk", kept / 1e6, "MB")


def floor(models: Models, shape: str) -> Iterator[Figure]:
    """Compare the compiled lane with the least that its bytes take at the bandwidth that was measured."""
    model = models.get(shape)
    limits = limits_of(model)
    shape_of = architecture.from_config(model.network.config)
    machine = RooflineModel(shape_of, limits, model.dtype.itemsize, None, model.read_bytes)
    yield Figure("memory bandwidth", limits.bandwidth / 1e9, "GB/s")
    for prompt in (24, 100) if models.tiny else (480, 2400):
        new = 12 if models.tiny else 48
        run_lane(model, "compiled_cache", text_of(prompt), new)
        for lane in ("compiled_cache", "dynamic_cache"):
            step = median(decode_seconds(run_lane(model, lane, text_of(prompt), new).steps))
            least = machine.decode_floor_s(prompt + new // 2)
            yield Figure(f"{lane}: step at {prompt:,} positions", step * 1e3, "ms")
            target = 75.0 if lane == "compiled_cache" and shape == "llama-2-7b" else None
            name = f"{lane}: bandwidth floor / step at {prompt:,} positions"
            yield Figure(name, 100 * least / step, "%", target, at_most=False)
        if model.device.type == "cuda":
            step = _back_to_back(model, prompt + new)
            yield Figure(f"the compiled step back to back at {prompt:,} positions", step * 1e3, "ms")
            yield Figure(f"bandwidth floor / the same at {prompt:,} positions", 100 * least / step, "%")


@torch.inference_mode()
def _back_to_back(model: LoadedModel, positions: int, times: int = 30) -> float:
    """Time a compiled step where the host waits for none of them: what the device alone takes, in seconds."""
    user = threading.Event()  # anything that lives until the end
    run = compiled_step.borrow_run(model, positions, user, lambda _: None)
    for _ in range(3):
        run()
    model.synchronize()
    start = time.perf_counter()
    for _ in range(times):
        run()
    model.synchronize()
    return (time.perf_counter() - start) / times


# The seconds of those that ran on an H100 with a slow host are those of benchmarks/results. What concerns the compiled
# step itself is looked at on gpt2, which is compiled in half the time of the others.
PARTS = (
    Part("new lengths", "gemma-3-1b", 15, new_lengths),
    Part("race and measure", "gemma-3-1b", 25, race_and_measure),
    Part("new lengths", "qwen3-0.6b", 12, new_lengths),
    Part("race and measure", "qwen3-0.6b", 20, race_and_measure),
    Part("departures", "qwen3-0.6b", 15, departures),
    Part("floor", "llama-2-7b", 170, floor),
    Part("new lengths", "llama-2-7b", 10, new_lengths),
    Part("peak memory", "gpt2", 70, peak_memory),
    Part("starts", "gpt2", 35, starts),
    Part("race and measure", "gpt2", 15, race_and_measure),
    Part("recording", "gpt2", 15, recorded),
    Part("two compiled lanes", "gpt2", 5, two_compiled),
    Part("departures", "gpt2", 10, departures),
    Part("classic table", "gpt2", 40, classic),
)
