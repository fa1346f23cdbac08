from __future__ import annotations

import json
from typing import Any

from kvdemo.compare.files import compare_files


def document(**lanes: list[float]) -> dict[str, Any]:
    def run(seconds: float) -> dict[str, Any]:
        return {"tokens": 8, "e2e_s": seconds, "ttft_s": 0.1, "tpot_s": 0.2}

    return {
        "schema": 1, "kind": "measure", "environment": {}, "model": {"id": "m"}, "settings": {},
        "prompt": {"text": "Hi", "tokens": [1, 2]},
        "lanes": [
            {"strategy": name, "name": name.upper(), "runs": [*map(run, runs)]} for name, runs in lanes.items()
        ],
    }  # fmt: skip


def holds(**lanes: list[float]) -> str:
    found = compare_files(json.dumps(document(**lanes)), None)
    assert found["b"] is found["comparison"] is None
    assert found["a"]["fault"] == ""
    return str(found["a"]["holds"])


def test_a_file_is_summarised_by_its_lanes_and_runs() -> None:
    assert holds(no_cache=[1, 2, 3], dynamic_cache=[1, 2, 3]) == "NO_CACHE, DYNAMIC_CACHE · 3 runs each"
    assert holds(no_cache=[1.0]) == "NO_CACHE · 1 run"
    assert holds(no_cache=[1.0], reencode=[]) == "NO_CACHE, REENCODE · 0 to 1 run each"


def test_lanes_of_one_name_are_counted_apart() -> None:
    both = document(no_cache=[1.0], reencode=[1.0, 2.0])
    both["lanes"][1]["name"] = "NO_CACHE"
    found = compare_files(json.dumps(both), None)
    assert found["a"]["holds"] == "NO_CACHE, NO_CACHE · 1 to 2 runs each"


def test_the_fault_is_said_of_the_file_that_has_it() -> None:
    good = json.dumps(document(no_cache=[1.0]))
    found = compare_files(good, "{")
    assert found["a"] == {"holds": "NO_CACHE · 1 run", "fault": ""}
    assert found["b"]["fault"].startswith("The file is not JSON")
    assert found["comparison"] is None


def test_two_documents_are_compared() -> None:
    a, b = (json.dumps(document(no_cache=[s, s])) for s in (1.0, 2.0))
    assert compare_files(a, b)["comparison"]["lanes"][0]["metrics"]["e2e_s"]["ratio"] == 2
