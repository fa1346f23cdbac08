"""Two files into the Compare tab: which of them gets a sentence, and what is drawn."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from kvdemo.compare.comparison import METRICS, compare, load
from kvdemo.core.errors import BadInput
from kvdemo.web.tabs import compare as compare_tab
from kvdemo.web.tabs.compare import ACCIDENT, MOST_BYTES, TERMS, Side, add_compare_tab, compared, read, side


def backend(**given: Any) -> Any:
    """A backend that can compare, and nothing else."""

    able = {"compare": lambda a, b: compare(load(a), load(b))}
    return SimpleNamespace(**able | given)  # asked for anything else, it raises AttributeError


def document(*strategies: str, seconds: tuple[float, ...] = (1.0, 1.1), model: str = "org/model") -> dict[str, Any]:
    runs = [{"tokens": 8, "e2e_s": s, "ttft_s": s / 10, "tpot_s": s / 9} for s in seconds]
    return {
        "schema": 1, "kind": "measure", "environment": {"gpu": None}, "model": {"id": model},
        "prompt": {"text": "Hi", "tokens": [1, 2]}, "settings": {"max_new_tokens": 8},
        "lanes": [{"strategy": s, "name": s.upper(), "runs": runs} for s in strategies or ("no_cache",)],
    }  # fmt: skip


def saved(folder: Path, name: str, value: Any) -> str:
    path = folder / name
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return str(path)


def test_two_files_are_compared(tmp_path: Path) -> None:
    a, b = (
        side(backend(), saved(tmp_path, name, document(seconds=times)))
        for name, times in (("a", (1, 1.1)), ("b", (2, 2.1)))
    )
    drawn = compared(backend(), a, b)
    assert drawn["comparison"]["lanes"][0]["metrics"]["e2e_s"]["ratio"] == pytest.approx(4.1 / 2.1)
    assert (drawn["waiting"], drawn["error"]) == ([], None)


def test_a_file_is_summarised_by_its_lanes_and_runs(tmp_path: Path) -> None:
    path = saved(tmp_path, "a", document("no_cache", "dynamic_cache", seconds=(1, 2, 3)))
    assert side(backend(), path).note() == {"text": "NO_CACHE, DYNAMIC_CACHE · 3 runs each", "bad": False}


def test_the_summary_counts_a_single_run_and_a_lane_without_runs(tmp_path: Path) -> None:
    one = document(seconds=(1.0,))
    assert side(backend(), saved(tmp_path, "one", one)).said == "NO_CACHE · 1 run"
    one["lanes"].append({"strategy": "reencode", "runs": []})
    assert side(backend(), saved(tmp_path, "two", one)).said == "NO_CACHE, reencode · 0 to 1 run each"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{"schema": 1,', "not JSON"),
        (b"", "not JSON"),
        (b"[]", "a list"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"schema": 7}', "schema 7"),
        (b'{"schema": 1, "kind": "comparison"}', "of the kind"),
    ],
)
def test_a_bad_file_gets_a_sentence_and_the_other_is_kept(tmp_path: Path, content: bytes, says: str) -> None:
    good = side(backend(), saved(tmp_path, "good", document()))
    bad = side(backend(), saved(tmp_path, "bad", content))
    assert bad.bad
    assert bad.text is None
    assert says in bad.said
    assert good.text is not None
    for pair, waiting in (((bad, good), ["A"]), ((good, bad), ["B"])):
        assert compared(backend(), *pair) == {"comparison": None, "waiting": waiting, "error": None}


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + json.dumps(document()).encode()
    assert not side(backend(), saved(tmp_path, "a", content)).bad


def test_a_large_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    with pytest.raises(BadInput, match=r"8\.0 MB, and 8 MB is the most"):
        read(str(path))


def test_a_deleted_file_gets_a_sentence(tmp_path: Path) -> None:
    assert side(backend(), str(tmp_path / "gone")).note()["bad"]


def test_without_two_files_nothing_is_compared() -> None:
    assert side(backend(), None) == Side()
    assert compared(backend(), Side(), Side()) == compare_tab.NOTHING


def test_an_unexpected_error_is_logged_and_reported_in_one_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: str) -> dict[str, Any]:
        raise RuntimeError("secret detail")

    with caplog.at_level(logging.ERROR):
        looked = side(backend(compare=broken), saved(tmp_path, "a", document()))
        drawn = compared(backend(compare=broken), Side("{}"), Side("{}"))
    assert (looked.said, drawn["error"]) == (ACCIDENT, ACCIDENT)
    assert caplog.text.count("RuntimeError: secret detail") == 2


def test_every_figure_of_a_comparison_has_its_definition() -> None:
    assert set(METRICS) <= set(TERMS)
    assert all(METRICS[name] == TERMS[name]["name"] for name in METRICS)
    assert all(term["long"] and term["text"] for term in TERMS.values())


def test_the_inputs_state_the_largest_file_size() -> None:
    with gr.Blocks() as blocks:
        add_compare_tab(backend())
    config = blocks.get_config_file()
    labels = [c["props"]["label"] for c in config["components"] if c["type"] == "file"]
    assert len(labels) == 2
    assert all("8 MB" in label for label in labels)
    assert {d["api_visibility"] for d in config["dependencies"]} == {"private"}
