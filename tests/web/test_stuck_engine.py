"""A remote engine that is stuck, in a real app: Stop ends its race at once, and meanwhile the device is the others'.

How fast that is, `python -m benchmarks stop` tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stuck_engines import LANES, served_beside_stuck_engines, stopped_after
from tests.web.loops import in_a_loop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def app(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served_beside_stuck_engines(tiny_folder, tmp_path_factory.mktemp("site")) as url:
        yield url


@pytest.mark.parametrize("lanes", LANES)
def test_stop_ends_the_race_at_once_and_others_have_raced_meanwhile(app: str, lanes: str) -> None:
    assert in_a_loop(stopped_after(app, lanes)) < 20  # 1 s on a machine with nothing else to do
