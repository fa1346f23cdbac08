"""A clock that is set forward or back: durations and deadlines are of a clock that is never set."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent / "kvdemo"
#: Files have a time of day, and so do documents and lines of a log. What each does with a clock that was set is tested
#: in tests/models/sources/test_find.py, tests/server/downloads/test_two_servers.py and tests/measure/test_store.py.
OF_DAY = {
    "models/sources/file_record.py", "models/sources/hub/in_use.py", "models/sources/hub/visitors_quota.py",
    "measure/store.py", "measure/measurement.py", "server/observing/run_log.py",
}  # fmt: skip
ASKED = re.compile(
    r"time\.time\(|from time import|datetime\.now\(|utcnow\(|Date\.now\(|new Date\(\)|performance\.timeOrigin"
)


def test_wall_clock_time_is_read_only_for_files_and_documents() -> None:
    asks = {
        path.relative_to(ROOT).as_posix()
        for suffix in ("py", "js")
        for path in ROOT.rglob(f"*.{suffix}")
        if ASKED.search(path.read_text("utf-8"))
    }
    assert asks == OF_DAY
