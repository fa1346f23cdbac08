"""Compile one shape's decoding step in this process and print the seconds: what a start costs.

`python -m benchmarks.gpu.start SHAPE [tiny]`. The last line of stdout is JSON. Nothing must come on stderr.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import torch

from benchmarks.gpu.models import Models
from kvdemo.strategies.kv_cache.compiling import compiled_step


def main() -> None:
    """Load, compile, take the time."""
    shape, is_tiny = sys.argv[1], "tiny" in sys.argv[2:]
    model = Models(torch.device("cuda" if torch.cuda.is_available() else "cpu"), tiny=is_tiny).get(shape)
    start = time.perf_counter()
    user = threading.Event()  # anything that lives until the end
    compiled_step.borrow_run(model, 256, user, lambda _: None)
    model.synchronize()
    print(
        json.dumps(
            {"seconds": time.perf_counter() - start, "compile_seconds": compiled_step.compiled_for(model).seconds}
        )
    )


if __name__ == "__main__":
    main()
