import subprocess
import sys

from kvdemo.stop import StopFile


def test_the_flag_is_seen_by_whoever_knows_the_run_and_by_no_other() -> None:
    StopFile("run/../1").set()
    assert StopFile("run/../1").is_set()
    assert not StopFile("run 2").is_set()
    StopFile("run/../1").clear()
    assert not StopFile("run/../1").is_set()
    StopFile("run/../1").clear()  # clearing twice is no error


def test_the_flag_crosses_processes() -> None:
    flag = StopFile("across")
    subprocess.run([sys.executable, "-c", "from kvdemo.stop import StopFile; StopFile('across').set()"], check=True)
    assert flag.is_set()
    flag.clear()
