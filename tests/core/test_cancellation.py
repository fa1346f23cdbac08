import subprocess
import sys

import pytest

from kvdemo.core.cancellation import CancelFile


def test_a_stop_flag_is_seen_by_its_own_run_only() -> None:
    CancelFile("run/../1").set()
    assert CancelFile("run/../1").is_set()
    assert not CancelFile("run 2").is_set()
    CancelFile("run/../1").clear()
    assert not CancelFile("run/../1").is_set()
    CancelFile("run/../1").clear()  # clearing twice is no error


@pytest.mark.slow
def test_a_stop_flag_is_seen_in_another_process() -> None:
    flag = CancelFile("across")
    subprocess.run(
        [sys.executable, "-c", "from kvdemo.core.cancellation import CancelFile; CancelFile('across').set()"],
        check=True,
    )
    assert flag.is_set()
    flag.clear()
