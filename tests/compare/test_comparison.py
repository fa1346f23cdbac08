import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kvdemo.compare import entries, validation
from kvdemo.compare.comparison import compare
from kvdemo.compare.text import as_text
from kvdemo.compare.validation import load
from kvdemo.core.errors import BadInput
from tests.measure.documents import measured, raced

SLOW = {"no_cache": [4.0, 4.04, 3.96, 4.02], "dynamic_cache": [1.0, 1.01, 0.99, 1.0]}
FAST = {"no_cache": [2.0, 2.02, 1.98, 2.01], "dynamic_cache": [1.0, 1.01, 0.99, 1.0]}


def changed(document: dict[str, Any], **sections: dict[str, Any]) -> dict[str, Any]:
    document = copy.deepcopy(document)
    for section, values in sections.items():
        document[section] |= values
    return document


def test_the_same_work_on_another_gpu_is_compared() -> None:
    a = changed(measured(SLOW), environment={"gpu": "Tesla T4"}, model={"device": "cuda:0"})
    b = changed(measured(FAST), environment={"gpu": "H200"}, model={"device": "cuda:0"})
    got = compare(a, b)
    assert got["headline"] == "Both ran the same work; the GPU differs."
    assert got["like_with_like"] is True
    assert got["differences"] == [{"field": "GPU", "a": "Tesla T4", "b": "H200"}]
    uncached, cached = got["lanes"]
    row = uncached["metrics"]["e2e_s"]
    assert (row["a"]["n"], row["a"]["mean"], row["b"]["mean"]) == (4, pytest.approx(4.005), pytest.approx(2.0025))
    assert row["ratio"] == pytest.approx(0.5)
    assert row["low"] < 0.5 < row["high"] < 1
    assert row["significant"] is True
    assert row["statement"].startswith("E2E: B is 2.00× as fast as A (95 % interval ")
    assert set(uncached["metrics"]) == {"e2e_s", "ttft_s", "tpot_s"}
    assert cached["metrics"]["e2e_s"]["significant"] is False
    assert "These runs do not show which of B and A is faster" in cached["metrics"]["e2e_s"]["statement"]


def test_a_slower_b_has_a_ratio_above_1_and_takes_longer() -> None:
    row = compare(measured(FAST), measured(SLOW))["lanes"][0]["metrics"]["e2e_s"]
    assert 1 < row["low"] < row["ratio"] < row["high"]
    assert "B takes 2.00× as long as A" in row["statement"]


@pytest.mark.parametrize(
    ("section", "values", "named"),
    [
        ("model", {"id": "openai-community/gpt2-medium"}, "model"),
        ("model", {"revision": "def"}, "model revision"),
        ("prompt", {"text": "Why?", "tokens": [9]}, "prompt"),
        ("settings", {"max_new_tokens": 8}, "token count"),
        ("settings", {"temperature": 0.7}, "temperature"),
    ],
)
def test_times_of_different_work_are_shown_without_significance(
    section: str, values: dict[str, Any], named: str
) -> None:
    got = compare(measured(SLOW), changed(measured(FAST), **{section: values}))
    assert got["headline"] == f"The work differs ({named}): the times are shown, and no significance is claimed."
    assert got["like_with_like"] is False
    row = got["lanes"][0]["metrics"]["e2e_s"]
    assert row["ratio"] == pytest.approx(0.5)
    assert (row["low"], row["high"], row["significant"]) == (None, None, None)
    assert row["statement"] == "E2E: B was 2.00× as fast as A. The work differs: no significance is claimed."


def test_lanes_with_different_token_counts_get_no_significance() -> None:
    b = measured(FAST)
    for run in b["lanes"][0]["runs"]:
        run["tokens"] = 3
    got = compare(measured(SLOW), b)
    assert "different numbers of tokens with No cache" in got["headline"]
    assert got["lanes"][0]["metrics"]["e2e_s"]["significant"] is None
    assert got["lanes"][1]["metrics"]["e2e_s"]["significant"] is False
    assert got["like_with_like"] is False


def test_a_race_counts_as_one_run() -> None:
    # TTFT 0.4 against 0.2 s; (1.3 - 0.4) / 3 = 0.3 s against 0.1 s
    got = compare(raced({"no_cache": [0.4, 0.3, 0.3, 0.3]}), raced({"no_cache": [0.2, 0.1, 0.1, 0.1]}))
    metrics = got["lanes"][0]["metrics"]
    assert metrics["e2e_s"]["a"]["mean"] == pytest.approx(1.3)
    assert metrics["ttft_s"]["ratio"] == pytest.approx(0.5)
    assert metrics["tpot_s"]["a"]["mean"] == pytest.approx(0.3)
    assert metrics["tpot_s"]["ratio"] == pytest.approx(1 / 3)
    assert metrics["e2e_s"]["significant"] is None
    assert "One run each: nothing can be said about significance." in metrics["e2e_s"]["statement"]
    assert got["headline"] == "Both ran the same work, and nothing else that both files state differs."


def test_comparing_a_race_with_a_measurement_states_the_kinds_as_the_only_difference() -> None:
    got = compare(raced({"no_cache": [1.0, 1.0, 1.0, 1.0]}), measured(SLOW))
    assert got["differences"] == [{"field": "kind of run", "a": "race (fair)", "b": "measurement"}]
    assert "n = 4 and 1" in got["lanes"][0]["metrics"]["e2e_s"]["statement"]
    assert got["only_b"] == ["DynamicCache"]


def test_lanes_of_one_strategy_are_matched_in_order() -> None:
    a, b = measured({"no_cache": [1.0]}), measured({"no_cache": [3.0]})
    for document, second in ((a, 2.0), (b, 8.0)):
        document["lanes"] += measured({"no_cache": [second]})["lanes"]
    got = compare(a, b)
    assert [lane["metrics"]["e2e_s"]["ratio"] for lane in got["lanes"]] == pytest.approx([3.0, 4.0])
    assert [lane["name"] for lane in got["lanes"]] == ["No cache", "No cache #2"]


def test_files_without_a_common_lane_or_run_are_not_compared() -> None:
    got = compare(measured({"no_cache": [1.0]}), measured({"dynamic_cache": [1.0]}))
    assert got["headline"].startswith("Nothing can be compared")
    assert (got["only_a"], got["only_b"]) == (["No cache"], ["DynamicCache"])
    waiting = measured({"no_cache": [1.0]}) | {"status": "stopped"}
    waiting["lanes"][0] |= {"runs": [], "statistics": None}
    got = compare(measured({"no_cache": [1.0]}), waiting)
    assert "no strategy has a complete run in both" in got["headline"]
    assert "B: No run of this lane is complete." in got["lanes"][0]["warnings"]
    assert any(note.startswith("B is not a complete measurement (stopped)") for note in got["notes"])


def test_notes_state_noise_on_one_side_and_random_weights() -> None:
    b = changed(measured({"no_cache": [1.0, 2.0, 3.0, 4.0]}), model={"random_weights": True})
    got = compare(measured({"no_cache": [2.0, 2.0, 2.0, 2.0]}), b)
    assert any(w.startswith("B: The middle half of the 4 runs") for w in got["lanes"][0]["warnings"])
    assert any("B ran random weights" in note for note in got["notes"])


def test_runs_of_one_token_are_compared_without_tpot() -> None:
    one = measured({"no_cache": [1.0, 1.1]}, tokens=1)
    assert set(compare(one, one)["lanes"][0]["metrics"]) == {"e2e_s", "ttft_s"}


def test_many_differences_are_counted_rather_than_listed() -> None:
    b = changed(
        measured(SLOW),
        environment={"cpu": "x", "torch": "y", "transformers": "z", "threads": 9, "python": "p", "platform": "q"},
    )
    got = compare(measured(SLOW), b)
    assert got["headline"].endswith("the transformers version and 2 things more differ.")
    assert len(got["differences"]) == 6


def test_the_comparison_is_strict_json_and_its_text_is_printable() -> None:
    b = changed(measured(FAST), environment={"gpu": "Evil\x1b[31m GPU\n\ud800"})
    got = compare(measured(SLOW), b)
    assert json.loads(json.dumps(got, allow_nan=False)) == got
    text = as_text(got)
    text.encode()  # a terminal could not show half a character
    assert "\x1b" not in text
    assert "  GPU: A none | B Evil [31m GPU" in text
    assert "  E2E: A 4.005 ± 0.034 s (n = 4) | B 2.002 ± 0.017 s (n = 4)" in text
    assert text.count("\n") == len(text.splitlines())


def test_an_exported_document_is_read_back_unchanged() -> None:
    document = measured(SLOW)
    assert load(json.dumps(document)) == document
    assert load(b"\xef\xbb\xbf" + json.dumps(document).encode()) == document
    race = raced({"no_cache": [1.0]})
    assert load(json.dumps(race)) == race | {"kind": "race"}


def broken(path: str, value: Any) -> str:
    document: Any = measured(SLOW)
    target = document
    *steps, last = path.split(".")
    for step in steps:
        target = target[int(step) if step.isdigit() else step]
    if value is KeyError:
        del target[last]
    else:
        target[last] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "not JSON"),
        ("{'a': 1}", "not JSON"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("[1, 2]", "a list"),
        ("null", "null"),
        ("3", "a number"),
        ("{}", "no schema"),
        ('{"schema": 2}', "has schema 2"),
        ('{"schema": true}', "has schema True"),
        ('{"schema": [[]]}', "has schema a list"),
        ('{"schema": 1, "kind": "plan"}', "'plan'"),
        ('{"schema": 1, "kind": ["measure"]}', "a list"),
        ('{"schema": 1, "x": NaN}', "NaN"),
        ('{"schema": 1, "x": -Infinity}', "Infinity"),
        ('{"schema": 1, "x": 1e999}', "1e999"),
        ('{"schema": 1, "x": ' + "9" * 5000 + "}", "thousands of digits"),
        ("[" * 200_000, "nested too deeply"),
        ('{"schema": 1, "x": ' + '{"a":' * 200_000, "nested too deeply"),
        (broken("environment", KeyError), "environment is missing"),
        (broken("model", None), "model must be an object"),
        (broken("model.id", 3), "model.id"),
        (broken("environment.gpu", {"name": "x"}), "environment.gpu"),
        (broken("settings.seed", 10**100), "settings.seed"),
        (broken("prompt.tokens", "abc"), "prompt.tokens"),
        (broken("prompt.tokens", [1, True]), "prompt.tokens"),
        (broken("prompt.text", KeyError), "prompt.text"),
        (broken("lanes", KeyError), "lanes is missing"),
        (broken("lanes", {}), "lanes must be a list"),
        (broken("lanes", []), "at least one lane"),
        (broken("lanes", [{}] * 100), "100 lanes"),
        (broken("lanes", ["x"]), "lanes[0] must be an object"),
        (broken("lanes.1.strategy", 4), "lanes[1].strategy"),
        (broken("lanes.1.runs", KeyError), "lanes[1].runs"),
        (broken("lanes.0.runs", [3]), "lanes[0].runs[0]"),
        (broken("lanes.1.runs.2.e2e_s", "fast"), "lanes[1].runs[2].e2e_s"),
        (broken("lanes.1.runs.2.e2e_s", None), "lanes[1].runs[2].e2e_s"),
        (broken("lanes.1.runs.2.e2e_s", -1.0), "lanes[1].runs[2].e2e_s"),
        (broken("lanes.1.runs.2.e2e_s", 1e300), "lanes[1].runs[2].e2e_s"),
        (broken("lanes.1.runs.2.e2e_s", 10**400), "lanes[1].runs[2].e2e_s"),
        (broken("lanes.1.runs.2.ttft_s", True), "lanes[1].runs[2].ttft_s"),
        (broken("lanes.0.runs.0.tokens", 1.5), "lanes[0].runs[0].tokens"),
        (broken("kind", "race"), "lanes[0].steps"),
    ],
)
def test_a_file_that_is_no_document_is_refused_in_one_sentence_that_names_the_fault(
    text: str | bytes, named: str
) -> None:
    with pytest.raises(BadInput) as raised:
        load(text)
    message = str(raised.value)
    assert named in message
    assert len(message) < 250 and "\n" not in message


def test_a_file_beyond_the_limit_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "MOST_BYTES", 1_000)
    with pytest.raises(BadInput, match="larger than"):
        load("x" * 1_001)


@pytest.mark.parametrize("wrong", [{}, 3, {"tokens": 4, "e2e_s": "fast"}])
def test_the_check_of_a_list_ends_at_its_first_fault(wrong: Any) -> None:
    """A file of 64 MB may hold millions of them: one is enough for the sentence."""
    document = measured(SLOW)
    for lane in document["lanes"]:
        lane["runs"] = [wrong] * 1_000
    with pytest.raises(ValidationError) as raised:
        entries.adapter("measure").validate_python(document, strict=True)
    assert raised.value.error_count() <= len(entries.Run.__annotations__)


def test_the_key_runs_of_a_race_is_ignored() -> None:
    race = raced({"no_cache": [1.0, 1.0]})
    race["lanes"][0]["runs"] = "nonsense"
    race["schedule"] = ["nonsense"]
    loaded = load(json.dumps(race))
    assert compare(loaded, loaded)["lanes"][0]["metrics"]["e2e_s"]["ratio"] == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)
PATHS = st.sampled_from(
    [
        "schema",
        "kind",
        "status",
        "environment",
        "environment.gpu",
        "environment.threads",
        "model",
        "model.id",
        "model.random_weights",
        "prompt",
        "prompt.text",
        "prompt.tokens",
        "settings",
        "settings.repeats",
        "lanes",
        "lanes.0",
        "lanes.0.name",
        "lanes.0.strategy",
        "lanes.0.options",
        "lanes.0.options.x",
        "lanes.0.sampling",
        "lanes.0.sampling.temperature",
        "settings.temperature",
        "lanes.0.status",
        "lanes.0.runs",
        "lanes.0.runs.0",
        "lanes.0.runs.0.e2e_s",
        "lanes.0.runs.0.tpot_s",
        "lanes.0.runs.0.tokens",
    ]
)


def replaced(document: Any, path: str, value: Any) -> Any:
    target = document
    *steps, last = path.split(".")
    for step in steps:
        target = target[int(step) if step.isdigit() else step]
    target[int(last) if last.isdigit() else last] = value
    return document


@given(PATHS, JSON)
def test_any_value_in_a_document_is_compared_or_refused(path: str, value: Any) -> None:
    good = measured({"no_cache": [1.0, 1.1]})
    good["lanes"][0] |= {"options": {}, "sampling": {"temperature": 0.0}}
    try:
        document = load(json.dumps(replaced(copy.deepcopy(good), path, value)))
    except BadInput:
        return
    for pair in ((good, document), (document, good), (document, document)):
        json.dumps(got := compare(*pair), allow_nan=False)
        as_text(got).encode()


def test_a_search_is_compared_by_its_total_and_its_time_per_level() -> None:
    """Its steps come when its texts agree: the first is no TTFT, and what is between them no TPOT."""
    a, b = raced({"beam_search": [2.0, 6.0]}), raced({"beam_search": [1.0, 3.0]})
    for document in (a, b):
        document["lanes"][0]["beams"] = [[{"parent": 0}]] * 4
    metrics = compare(a, b)["lanes"][0]["metrics"]
    assert list(metrics) == ["e2e_s", "level_s"]
    assert (metrics["level_s"]["a"]["mean"], metrics["level_s"]["b"]["mean"]) == (2.0, 1.0)
    assert "Per level" in as_text(compare(a, b))


def test_tokens_that_all_came_in_one_step_have_no_tpot() -> None:
    a = raced({"remote": [2.0]})
    a["lanes"][0]["steps"][0]["tokens"] = 4
    assert list(compare(a, a)["lanes"][0]["metrics"]) == ["e2e_s", "ttft_s"]


def test_the_speedup_of_a_figure_is_the_inverse_of_its_ratio() -> None:
    a, b = measured({"no_cache": [4.0, 4.1, 4.2]}), measured({"no_cache": [2.0, 2.1, 2.05]})
    row = compare(a, b)["lanes"][0]["metrics"]["e2e_s"]
    assert row["speedup"]["ratio"] == pytest.approx(1 / row["ratio"])
    assert row["speedup"]["low"] == pytest.approx(1 / row["high"])
    assert row["speedup"]["text"] == ["2.00", *(f"{row['speedup'][end]:.2f}" for end in ("low", "high"))]
    assert row["statement"] == f"E2E: {row['claim']}" and row["speedup"]["text"][1] in row["claim"]
    b["settings"]["max_new_tokens"] += 1
    unlike = compare(a, b)["lanes"][0]["metrics"]["e2e_s"]
    assert (unlike["speedup"]["low"], unlike["speedup"]["text"]) == (None, ["2.00"])
