"""Run a bare loop in a process of its own, for settings that OpenMP reads only once, when it is loaded.

The process reads lines: "begin N" starts a text of N tokens; "steps N" takes its next N steps, the prefill first, and
is answered by the seconds of each; "warm N" takes the steps that warm up a lane with so long a prompt. After an answer
the process rests, so that its spinning threads do not disturb the next one. Steps that are to be like those of a lane
must follow each other without a rest: waking threads that have slept for long costs a step of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from types import TracebackType

from benchmarks.tools import lockstep
from kvdemo.engine import openmp
from tests.serving import ROOT

#: GNU's OpenMP spins for 3 ms after a step where nobody has set anything: until then it disturbs the next process.
REST_SECONDS = 0.02
BESIDE = "--beside"


class Process:
    """Takes steps under an environment of its own.

    `waiting` is how its OpenMP threads wait; None is as in this process, and so as in a server that it starts.
    `beside` keeps a thread alive in it that has computed once and now sleeps.
    """

    def __init__(self, waiting: Mapping[str, str] | None = None, *, beside: bool = False) -> None:
        environment = dict(os.environ)
        if waiting is not None:
            environment = {name: value for name, value in environment.items() if name not in openmp.SETTINGS}
            environment.update(waiting)
        command = [sys.executable, "-m", "benchmarks.tools.stepper", *[BESIDE] * beside]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def decode(self, prompt: int, burst: int) -> lockstep.Loop:
        """Yield a text's steps in order: the prefill of so many tokens, then one token a step, `burst` at a time."""

        def steps() -> Generator[float, None, None]:
            self._say(f"begin {prompt}")
            yield self._steps(1)
            while True:
                yield self._steps(burst)

        return steps

    def prefill(self, prompt: int) -> lockstep.Loop:
        """Repeat the prefill of so many tokens."""

        def steps() -> Generator[float, None, None]:
            while True:
                self._say(f"begin {prompt}")
                yield self._steps(1)

        return steps

    def text(self, prompt: int, tokens: int) -> list[float]:
        """Time each step of one text, warmed up as a lane is: the prefill of so many tokens, then one token a step."""
        self._say(f"warm {prompt}")
        self._say(f"begin {prompt}")
        return self._each(tokens)

    def _steps(self, number: int) -> float:
        return sum(self._each(number))

    def _each(self, number: int) -> list[float]:
        self._say(f"steps {number}")
        assert self._process.stdout is not None
        if not (answer := self._process.stdout.readline()):
            raise RuntimeError(f"the process that takes the steps ended with {self._process.wait()}")
        return [float(seconds) for seconds in answer.split()]

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)


def main() -> None:
    """Take the steps that the lines ask for."""
    import torch  # noqa: PLC0415 - the parent process must not load OpenMP with its own setting in vain
    from transformers import DynamicCache  # noqa: PLC0415

    from kvdemo.models import loading  # noqa: PLC0415
    from kvdemo.models.names import catalog  # noqa: PLC0415
    from kvdemo.models.network.cache_argument import cache_kwargs  # noqa: PLC0415
    from kvdemo.race.session import WARMUP_TOKENS  # noqa: PLC0415

    model = loading.load(catalog.DEFAULT, device="cpu", dtype="float32")
    text = torch.arange(1000, 1000 + 4096)[None]
    if BESIDE in sys.argv:
        computed = threading.Event()

        def sleeper() -> None:
            model.network(input_ids=text[:, :16])
            computed.set()
            threading.Event().wait()

        threading.Thread(target=sleeper, daemon=True).start()
        computed.wait()
    with torch.inference_mode():
        for line in sys.stdin:
            word, number = line.split()
            if word != "steps":
                ids, cache = text[:, : int(number)], DynamicCache(config=model.network.config)
            if word == "begin":
                continue
            seconds = []
            for _ in range(WARMUP_TOKENS if word == "warm" else int(number)):
                start = time.perf_counter()
                logits = model.network(input_ids=ids, logits_to_keep=1, **cache_kwargs(model.network, cache)).logits
                ids = torch.tensor([[logits[0, -1].argmax().item()]])
                seconds.append(time.perf_counter() - start)
            if word == "warm":
                continue
            time.sleep(REST_SECONDS)
            print(*seconds, flush=True)


if __name__ == "__main__":
    main()
