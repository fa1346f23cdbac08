"""Two files into the Compare tab: which of them gets a sentence, and what is drawn."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from kvdemo.compare.comparison import METRICS
from kvdemo.compare.files import compare_files
from kvdemo.core.errors import BadInput
from kvdemo.web.tabs.compare import ACCIDENT, MOST_BYTES, NO_FILE, NOTHING, TERMS, add_compare_tab, look, read


def backend(**given: Any) -> Any:
    """A backend that can compare, and nothing else."""
    able = {"compare": lambda a, b, _visitor: compare_files(a, b)}
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


def looked(a: str | None, b: str | None = None, **given: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    note_a, note_b, drawn = look(backend(**given), a, b)
    return note_a, note_b, drawn


def test_two_files_are_compared(tmp_path: Path) -> None:
    files = [saved(tmp_path, name, document(seconds=times)) for name, times in (("a", (1, 1.1)), ("b", (2, 2.1)))]
    *notes, drawn = looked(*files)
    assert notes == [{"text": "NO_CACHE · 2 runs", "bad": False}] * 2
    assert drawn["comparison"]["lanes"][0]["metrics"]["e2e_s"]["ratio"] == pytest.approx(4.1 / 2.1)
    assert (drawn["waiting"], drawn["error"]) == ([], None)


def test_files_are_read_once_to_be_compared(tmp_path: Path) -> None:
    asked = []

    def counting(*texts: str | None) -> dict[str, Any]:
        asked.append(texts)
        return compare_files(*texts[:2])

    files = [saved(tmp_path, name, document()) for name in "ab"]
    assert looked(*files, compare=counting)[2]["comparison"]
    assert len(asked) == 1


def test_a_file_alone_is_looked_at_and_the_other_is_asked_for(tmp_path: Path) -> None:
    path = saved(tmp_path, "a", document())
    note, none, drawn = looked(path)
    assert (note["bad"], none) == (False, NO_FILE)
    assert drawn == {"comparison": None, "waiting": ["B"], "error": None}
    assert looked(None, path)[2]["waiting"] == ["A"]


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
    bad, good = saved(tmp_path, "bad", content), saved(tmp_path, "good", document())
    for files, waiting in (((bad, good), "A"), ((good, bad), "B")):
        *notes, drawn = looked(*files)
        of_bad, of_good = notes if waiting == "A" else notes[::-1]
        assert of_bad["bad"]
        assert says in of_bad["text"]
        assert of_good == {"text": "NO_CACHE · 2 runs", "bad": False}
        assert drawn == {"comparison": None, "waiting": [waiting], "error": None}


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + json.dumps(document()).encode()
    assert not looked(saved(tmp_path, "a", content))[0]["bad"]


def test_a_large_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    with pytest.raises(BadInput, match=r"8\.0 MB, and 8 MB is the most"):
        read(str(path))


def test_a_deleted_file_gets_a_sentence(tmp_path: Path) -> None:
    assert looked(str(tmp_path / "gone"))[0]["bad"]


def test_without_files_nothing_is_asked() -> None:
    assert looked(None, None, compare=lambda *_: pytest.fail("it was asked")) == (NO_FILE, NO_FILE, NOTHING)


def test_what_takes_too_long_is_said_under_one_file_and_below_two(tmp_path: Path) -> None:
    def late(*_: str | None) -> dict[str, Any]:
        raise BadInput("The comparison takes more than 5 s.")

    files = [saved(tmp_path, name, document()) for name in "ab"]
    assert looked(files[0], compare=late)[0] == {"text": "The comparison takes more than 5 s.", "bad": True}
    *notes, drawn = looked(*files, compare=late)
    assert notes == [NO_FILE, NO_FILE]
    assert drawn == {"comparison": None, "waiting": [], "error": "The comparison takes more than 5 s."}


def test_an_unexpected_error_is_logged_and_reported_in_one_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> dict[str, Any]:
        raise RuntimeError("secret detail")

    files = [saved(tmp_path, name, document()) for name in "ab"]
    with caplog.at_level(logging.ERROR):
        assert looked(files[0], compare=broken)[0]["text"] == ACCIDENT
        assert looked(*files, compare=broken)[2]["error"] == ACCIDENT
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
