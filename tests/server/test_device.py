"""The device goes from one thread to the next, and the first leaves nothing behind that slows the second down."""

from __future__ import annotations

import pytest

from kvdemo.engine import openmp
from kvdemo.server.device import DeviceLease, NeverStops


@pytest.mark.parametrize("early", [False, True], ids=["when the block ends", "before it ends"])
def test_who_gives_the_device_back_ends_his_openmp_threads_first(
    monkeypatch: pytest.MonkeyPatch, *, early: bool
) -> None:
    lease = DeviceLease("any/model", device="cpu", dtype="auto", only_default=False)
    free: list[bool] = []
    monkeypatch.setattr(openmp, "end_threads", lambda: free.append(not lease._turns._line))
    with lease.acquire(lambda _: None, NeverStops()) as release:
        if early:
            release()
            assert free == [False]
            assert not lease._turns._line
    assert free[0] is False
    assert not lease._turns._line
