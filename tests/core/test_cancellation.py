import subprocess
import sys

from kvdemo.core.cancellation import CancelFile


def test_the_flag_is_seen_by_whoever_knows_the_run_and_by_no_other() -> None:
    CancelFile("run/../1").set()
    assert CancelFile("run/../1").is_set()
    assert not CancelFile("run 2").is_set()
    CancelFile("run/../1").clear()
    assert not CancelFile("run/../1").is_set()
    CancelFile("run/../1").clear()  # clearing twice is no error


def test_the_flag_crosses_processes() -> None:
    flag = CancelFile("across")
    subprocess.run(
        [sys.executable, "-c", "from kvdemo.core.cancellation import CancelFile; CancelFile('across').set()"],
        check=True,
    )
    assert flag.is_set()
    flag.clear()
