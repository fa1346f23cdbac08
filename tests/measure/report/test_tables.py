import csv
import io
from typing import Any

import pytest

from kvdemo.measure.report.csv_tables import sweep_csv, to_csv
from kvdemo.measure.report.tables import escape, mean_and_std, to_markdown

from ..documents import measured

# The classic pair, on runs whose mean and scatter can be worked out in the head.
TIMES = {"no_cache": [56.0, 56.2, 56.4], "dynamic_cache": [11.8, 11.9, 12.0]}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def row_of(markdown: str, name: str) -> list[str]:
    line = next(line for line in markdown.splitlines() if line.startswith(f"| {name}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_csv_has_a_row_per_run_with_the_documents_figures() -> None:
    document = measured(TIMES)
    got = rows(to_csv(document))
    assert len(got) == 6
    assert [row["strategy"] for row in got] == ["no_cache"] * 3 + ["dynamic_cache"] * 3
    assert [float(row["e2e_s"]) for row in got[:3]] == TIMES["no_cache"]
    last, run = got[-1], document["lanes"][1]["runs"][-1]
    assert {name: float(last[name]) for name in run} == pytest.approx(run)
    assert last["lane"] == "1"


def test_an_undefined_value_is_an_empty_cell() -> None:
    document = measured({"no_cache": [2.0]}, tokens=1)
    document["lanes"][0]["runs"][0] |= {"ttft_s": float("nan"), "decode_s": "=1+1", "tokenize_s": True}
    (row,) = rows(to_csv(document))
    assert [row[name] for name in ("tpot_s", "ttft_s", "decode_s", "tokenize_s")] == [""] * 4


def test_no_csv_cell_is_a_formula() -> None:
    document = measured(TIMES)
    document["lanes"][0]["strategy"] = '=HYPERLINK("x")\n'
    assert rows(to_csv(document))[0]["strategy"] == "_HYPERLINK_x_"


def test_the_sweep_has_a_row_for_each_cell_and_strategy() -> None:
    document = measured(TIMES)
    assert rows(sweep_csv(document)) == []
    cell = {
        "prompt_tokens": 16,
        "new_tokens": 32,
        "seconds": {"no_cache": 3.0, "dynamic_cache": 1.5},
        "speedup": {"dynamic_cache": 2.0},
        "bound": {"no_cache": "compute", "dynamic_cache": "bandwidth"},
        "reason": "because",
    }
    baseline, cached = rows(sweep_csv(document | {"sweep": {"baseline": "no_cache", "cells": [cell]}}))
    assert baseline == {
        "prompt_tokens": "16",
        "new_tokens": "32",
        "strategy": "no_cache",
        "seconds": "3.0",
        "speedup": "",
        "bound": "compute",
    }
    assert (cached["seconds"], cached["speedup"], cached["bound"]) == ("1.5", "2.0", "bandwidth")


def test_the_classic_table_is_written() -> None:
    table = to_markdown(measured(TIMES))
    assert row_of(table, "No cache")[:4] == ["No cache", "3", "56.200 ± 0.200 s", "56.200 s"]
    cached = row_of(table, "DynamicCache")
    assert cached[1:4] == ["3", "11.900 ± 0.100 s", "11.900 s"]
    assert cached[4].startswith("1.190 ± 0.010 s")
    assert cached[6] == "0.336"  # 4 tokens in 11.9 s
    assert cached[7].startswith("4.72× (4.")
    assert row_of(table, "No cache")[7] == "baseline"
    assert "DynamicCache is 4.72× as fast as No cache" in table
    assert "PROMPT" not in table and "“What is KV caching?” (5 tokens)" in table


def test_published_rows_are_in_their_own_table_after_the_measured_one() -> None:
    table = to_markdown(measured(TIMES))
    measured_part, published = table.split("### Published (not measured here)")
    assert "Tesla T4" not in measured_part
    assert "| 11.885 ± 0.272 s |" in published
    assert "João Lages" in published


def test_the_environment_and_the_settings_are_stated() -> None:
    lines = to_markdown(measured(TIMES)).splitlines()
    environment = next(line for line in lines if line.startswith("Environment"))
    for part in ("Some CPU", "cpu", "torch 2.13.0", "transformers 5.17.0", "float32", "2 threads", "sdpa", "git f00"):
        assert part in environment
    settings = next(line for line in lines if line.startswith("Settings"))
    for part in (r"max\_new\_tokens 4", "repeats 3", "warmup 1", "temperature 0.0", r"ignore\_eos yes", "chat no"):
        assert part in settings


def test_the_attention_kernels_are_stated_when_the_document_names_them() -> None:
    document = measured(TIMES)
    document["environment"]["attention_line"] = "sdpa; flash first; cuDNN off"
    assert "attention: sdpa; flash first; cuDNN off" in to_markdown(document)


def test_random_weights_are_labelled() -> None:
    document = measured(TIMES)
    document["model"] |= {"id": "random:gpt2", "random_weights": True}
    table = to_markdown(document)
    assert "## random:gpt2 (random weights)" in table
    assert "the text means nothing" in table


def test_an_unfinished_document_is_written_as_a_table() -> None:
    document = measured(TIMES, statistics=False) | {"status": "running", "comparison": None}
    document["lanes"][1] |= {"runs": [], "status": "waiting"}
    table = to_markdown(document)
    assert row_of(table, "No cache")[1:3] == ["3", "56.200 ± 0.200 s"]
    assert row_of(table, "DynamicCache") == ["DynamicCache (waiting)", "0", "–", "–", "–", "–", "–", "–"]
    assert "Not a complete measurement: running." in table
    assert len(rows(to_csv(document))) == 3


def test_an_empty_document_is_written_as_a_table() -> None:
    empty: dict[str, Any] = {"schema": 1, "kind": "measure", "status": "running", "lanes": []}
    assert to_markdown(empty).startswith("## ")
    assert rows(to_csv(empty)) == []


def test_one_run_shows_no_scatter_and_no_interval() -> None:
    table = to_markdown(measured({"no_cache": [2.0], "dynamic_cache": [1.0]}))
    assert row_of(table, "DynamicCache")[2] == "1.000 s"
    assert row_of(table, "DynamicCache")[7] == "2.00× (no interval)"
    assert "One run each" in table


def test_a_difference_that_is_not_significant_says_so() -> None:
    table = to_markdown(measured({"no_cache": [1.0, 1.1, 0.9], "dynamic_cache": [1.0, 1.05, 0.92]}))
    assert row_of(table, "DynamicCache")[7].endswith(", not significant")


def test_foreign_text_stays_in_one_cell_on_one_line() -> None:
    document = measured(TIMES)
    document["prompt"]["text"] = "a | b\n\n## c <script>`x`"
    document["lanes"][0] |= {"status": "failed", "error": "out | of\nmemory"}
    table = to_markdown(document)
    assert r"“a \| b \#\# c \<script\>\`x\`”" in table
    assert r"- No cache: out \| of memory" in table


def test_escaping_shortens_and_drops_what_is_not_printable() -> None:
    assert escape("x" * 1000) == "x" * 299 + "…"
    assert escape("a\x1b[31m\ud800b") == r"a \[31m b"
    assert escape(None) == "–"


@pytest.mark.parametrize(
    ("mean", "std", "shown"),
    [
        (11.885, 0.272, "11.885 ± 0.272 s"),
        (0.0331234, 0.0005, "33.123 ± 0.500 ms"),
        (1234.56, 7.0, "1,234.6 ± 7.0 s"),
        (123456.7, None, "123,457 s"),
        (0.0000004, None, "0.000 ms"),
    ],
)
def test_times_are_written_in_a_fitting_unit(mean: float, std: float | None, shown: str) -> None:
    assert mean_and_std({"mean": mean, "std": std}) == shown


def test_figures_that_a_search_lacks_are_empty_cells() -> None:
    document = measured({"no_cache": [2.0], "dynamic_cache": [1.0]})
    for run in document["lanes"][1]["runs"]:
        run |= {"ttft_s": None, "tpot_s": None, "level_s": 0.25}
    document["lanes"][1]["statistics"] |= {"ttft_s": None, "tpot_s": None}
    rows = list(csv.DictReader(io.StringIO(to_csv(document))))
    assert (rows[1]["ttft_s"], rows[1]["tpot_s"], rows[1]["level_s"]) == ("", "", "0.25")
    row = next(line for line in to_markdown(document).splitlines() if line.startswith("| DynamicCache"))
    assert row.split(" | ")[4:6] == ["–", "–"]
    assert "a level of the search took 250.00 ms; it has no TTFT and no TPOT" in to_markdown(document)


def test_a_sweep_with_a_clock_that_did_not_tick_has_no_speedup() -> None:
    document = measured({"no_cache": [2.0], "dynamic_cache": [1.0]})
    cell = {"prompt_tokens": 4, "new_tokens": 2, "seconds": {"no_cache": 0.0, "dynamic_cache": 0.0},
            "speedup": {"dynamic_cache": None}, "bound": {"no_cache": None}, "reason": "None."}  # fmt: skip
    document["sweep"] = {"baseline": "no_cache", "cells": [cell]}
    assert "| 4 | 2 | dynamic\\_cache | 0.000 ms | – | – |" in to_markdown(document)
