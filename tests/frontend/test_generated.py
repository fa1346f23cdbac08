"""What the browser computes as Python does, on generated cases: figures as text, lanes as text, a race's live figures.

The browser computes these while the server sends tokens, or before it has answered. `node --test` and pytest share a
few written cases (tests/cases); here Python makes some thousands, and Node answers all of them in one process.
"""

import json
import math
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kvdemo.core.events import Ended, Started, TokensCommitted
from kvdemo.core.figures import metrics, text_metrics, units
from kvdemo.core.settings import strategy_spec
from kvdemo.core.settings.declaration import offered, read_value
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import BeamNode, Choice, LaneInfo, Option, Pass, Step, TimedStep
from kvdemo.inside.terms import Term
from kvdemo.web import wire

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed")

PROMPT = 9
OPTIONS = {
    "window": Option(64, "Window", "", low=1, high=4096),
    "share": Option(0.5, "Share", "", low=0, high=1000),
    "kind": Option("int8", "Format", "", choices=("int8", "int4", "a=b")),
}
SAMPLING = {
    "temperature": Option(0.0, "Temperature", "", low=0, high=10),
    "top_k": Option(1_000_000, "Top-k", "", low=1, high=1_000_000),
    "seed": Option(0, "Seed", "", low=0, high=2**63 - 1),
}
TEXTS = ["a", " word", "~", "~n", "\n", "<", "é", "😀", "語", "", "  ", "\\n", '"', "\ud83d", "\u2028", "a b  c"]


def number(rng: random.Random) -> float:
    """A number of any size, often one that lies between two that can be written."""
    digits = rng.choice([rng.uniform(1, 10), rng.randrange(1000, 10_000) / 1000, rng.randrange(995, 1005) / 100])
    return digits * 10.0 ** rng.randrange(-8, 16)


def spec(rng: random.Random) -> str:
    """A lane as somebody may write it: with spaces, zeros, defaults, in any order."""
    share = rng.choice([rng.uniform(0, 1000), rng.uniform(0, 1) * 10.0 ** -rng.randrange(8), rng.randrange(10), 0.5])
    written = {
        "window": str(rng.randrange(1, 4096)),
        "share": rng.choice([repr(share), f"{share:.4f}", f"{share:g}"]),
        "kind": rng.choice(["int8", "int4", "a=b"]),
        "temperature": rng.choice(["0", "1", "0.80", "0.00005", repr(rng.uniform(0, 10))]),
        "top_k": str(rng.choice([1, 50, 1_000_000])),
        "seed": str(rng.choice([0, 7, 2**53 - 1, 2**53 + 1, 2**63 - 1])),
    }
    names = rng.sample(sorted(written), rng.randrange(len(written)))
    blank = rng.choice(["", " "])
    return ":".join(["toy", *(f"{blank}{name}{blank}={written[name]}" for name in names)])


def tokens(rng: random.Random) -> list[tuple[int, float]]:
    """Ids and log-probabilities of a text, with repetitions."""
    return [(rng.randrange(5), -rng.choice([0.0, rng.expovariate(0.5)])) for _ in range(rng.randrange(30))]


def timed_step(rng: random.Random, context: int, *, searches: bool) -> TimedStep:
    choices = tuple(
        Choice(
            rng.randrange(1000), rng.choice([math.nan, -rng.expovariate(0.3)]), 2, -1.0,
            rng.choice([None, rng.uniform(0, 9)]),
        )
        for _ in range(rng.randrange(1, 5))
    )  # fmt: skip
    cached = rng.random() < 0.7
    drafted, rejected = rng.randrange(1, 5), 0
    if drafted > 1 and cached:
        rejected = rng.randrange(drafted)
    ran = tuple(
        Pass(rng.randrange(1, 4), drafted, context + n * drafted, rejected=rejected) for n in range(rng.randrange(1, 4))
    )
    passes = rng.choice([(), ran])
    positions = sum(one.rows * one.positions for one in passes) if passes else 1 if cached else context
    levels = ((BeamNode(0, 1, -0.5, -0.5),),) * rng.randrange(1, 4) if searches else ()
    held = rng.randrange(1, 10**9) if cached else 0
    texts = rng.choice([None, tuple(rng.choice(TEXTS) for _ in choices)])
    step = Step(choices, positions, held, texts=texts, levels=levels, passes=passes)
    return TimedStep(step, rng.choice([0, rng.randrange(1, 10**7)]) / 1e6)


@dataclass(frozen=True)
class Generated:
    """A race of two lanes: their steps, the text that was shown for each, and the lines that the browser gets."""

    lanes: list[list[TimedStep]]
    shown: list[list[str]]
    lines: list[str]


def race(rng: random.Random) -> Generated:
    infos = tuple(
        LaneInfo(f"lane{lane}", f"Lane {lane}", "", lossless=True, searches=rng.random() < 0.3) for lane in range(2)
    )
    lanes: list[list[TimedStep]] = [[], []]
    shown: list[list[str]] = [[], []]
    events: list[Any] = [Started(infos, "Hi", PROMPT, 64, "fair", {"id": "m"})]
    for lane, info in enumerate(infos):
        for _ in range(rng.randrange(6)):
            timed = timed_step(rng, PROMPT + len(shown[lane]), searches=info.searches)
            texts = tuple(rng.choice(TEXTS) for _ in timed.step.choices)
            lanes[lane].append(timed)
            shown[lane] += texts
            events.append(TokensCommitted(lane, timed, texts))
        events.append(Ended(lane, "length"))
    return Generated(lanes, shown, wire.lines(events).split("\n")[:-1])


COUNTED: list[dict[str, Any]] = [{}, {"cap": 8}, {"cap": 128}, {"chunk": 8}, {"chunk": 8192}, {"group": 16}]


def terms(rng: random.Random) -> tuple[list[Term], int, int]:
    found = [Term(rng.uniform(-5, 1e9), rng.randrange(2), rng.randrange(3), **rng.choice(COUNTED)) for _ in range(6)]
    return found, rng.randrange(1, 64), rng.randrange(1, 2**20)


def many(make: Callable[[random.Random], Any], count: int) -> list[Any]:
    rng = random.Random(make.__name__)
    return [make(rng) for _ in range(count)]


NUMBERS = {"seconds": "", "bytes": "B", "flops": "FLOP/s"}
CASES = {
    "numbers": [
        (kind, max(1, round(value)) if kind == "bytes" else max(1, value) if kind == "flops" else value)
        for value in many(number, 1500)
        for kind in NUMBERS
    ],
    "specs": many(spec, 600),
    "texts": many(tokens, 300),
    "races": many(race, 300),
    "terms": many(terms, 300),
}


def facts(options: dict[str, Option]) -> dict[str, Any]:
    """Settings as the browser has them."""
    return {
        name: {"label": one.label, "default": one.default, "whole": one.kind == "whole", "choices": one.choices}
        for name, one in options.items()
    }


@pytest.fixture(scope="module")
def answers() -> dict[str, list[Any]]:
    """What the browser's code makes of every case."""
    strategy = {"id": "toy", "name": "Toy", "options": facts(OPTIONS), "sampling": facts(SAMPLING)}
    asked = {
        "numbers": CASES["numbers"],
        "specs": [{"strategy": strategy, "text": text} for text in CASES["specs"]],
        "texts": CASES["texts"],
        "races": [one.lines for one in CASES["races"]],
        "terms": [([one.entry() for one in found], batch, length) for found, batch, length in CASES["terms"]],
    }
    assert NODE
    ran = subprocess.run(
        [NODE, Path(__file__).with_name("answers.mjs")], input=json.dumps(asked), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_generated_numbers_are_written_alike_except_for_zeros_at_the_end(answers: dict[str, list[Any]]) -> None:
    different = []
    for (kind, value), tabled in zip(CASES["numbers"], answers["numbers"], strict=True):
        said = units.amount(value, NUMBERS[kind]) if NUMBERS[kind] else units.seconds(value)
        if re.sub(r"(\.\d*?)0+ ", r"\1 ", tabled).replace(". ", " ") != said:
            different.append((kind, value, tabled, said))
    assert not different


def test_generated_lanes_are_read_written_and_named_alike(answers: dict[str, list[Any]]) -> None:
    for text, answer in zip(CASES["specs"], answers["specs"], strict=True):
        (one,) = read_value(offered(RaceRequest)["strategies"], text)
        strategy_id, given = strategy_spec.split(one)
        assert answer["lanes"] == [[strategy_id, given]]
        read = strategy_spec.read_lane(strategy_id, OPTIONS, SAMPLING, given)
        assert strategy_spec.read_lane("toy", OPTIONS, SAMPLING, strategy_spec.split(answer["written"])[1]) == read
        own = ", ".join(OPTIONS[name].spoken(value) for name, value in strategy_spec.changed(OPTIONS, read[0]).items())
        chosen = ", ".join(SAMPLING[name].spoken(value) for name, value in read[1].items())
        assert answer["names"] == [f"Toy{f' ({own})' if own else ''}{f' · {chosen}' if chosen else ''}"], text


def test_generated_texts_have_the_same_figures(answers: dict[str, list[Any]]) -> None:
    for text, answer in zip(CASES["texts"], answers["texts"], strict=True):
        ids, logprobs = [token for token, _ in text], [logprob for _, logprob in text]
        figures = text_metrics.mean_logprob(logprobs), text_metrics.perplexity(logprobs)
        assert answer == pytest.approx([*figures, text_metrics.distinct_2(ids), text_metrics.repeated_4gram(ids)])


def test_generated_races_have_the_same_live_figures(answers: dict[str, list[Any]]) -> None:
    for one, answer in zip(CASES["races"], answers["races"], strict=True):
        for steps, lane in zip(one.lanes, answer["lanes"], strict=True):
            got = metrics.lane_metrics(steps)
            figures = [got.e2e_s, got.ttft_s, got.tpot_s, got.tokens_per_s, got.level_s, got.positions]
            assert lane["figures"] == pytest.approx(figures)
        assert answer["speedup"] == pytest.approx(metrics.speedup(*one.lanes))


def test_generated_races_have_the_same_tokens_and_passes(answers: dict[str, list[Any]]) -> None:
    for one, answer in zip(CASES["races"], answers["races"], strict=True):
        for steps, shown, lane in zip(one.lanes, one.shown, answer["lanes"], strict=True):
            expected, passes, written = [], [], PROMPT
            for timed in steps:
                step, size = timed.step, len(timed.step.choices)
                for n, choice in enumerate(step.choices):
                    at = written - PROMPT + n
                    text, own = (valid(text) for text in (shown[at], step.texts[n] if step.texts else shown[at]))
                    logprob = None if math.isnan(choice.logprob) else choice.logprob
                    expected.append([choice.token, text, own, logprob, choice.entropy, timed.seconds / size])
                passes += [[ran.rows, ran.positions, ran.context, ran.rejected] for ran in step.ran(written)]
                written += size
            assert lane["passes"] == passes
            for got, right in zip(lane["tokens"], expected, strict=True):
                assert got[:3] == right[:3]
                assert got[3:] == pytest.approx(right[3:], abs=6e-4)


def valid(text: str) -> str:
    """A text as UTF-8 can carry it."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def test_generated_terms_have_the_same_value(answers: dict[str, list[Any]]) -> None:
    for (found, batch, length), answer in zip(CASES["terms"], answers["terms"], strict=True):
        assert answer == pytest.approx(sum(term.value(batch, length) for term in found), rel=1e-12)
