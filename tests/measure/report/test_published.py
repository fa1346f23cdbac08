import pytest

from kvdemo.measure.report.published import PUBLISHED, rows_for

FIELDS = ["basis", "device", "model", "new_tokens", "what", "source", "mean_s", "std_s", "tokens_per_s", "speedup"]


def test_every_row_is_marked_published_and_names_its_source() -> None:
    for model in ("gpt2", "random:qwen3-0.6b", "meta-llama/Llama-2-7b-chat-hf"):
        for row in rows_for(model, 200):
            assert list(row) == FIELDS
            assert row["basis"] == "published"
            assert row["source"]
            assert (row["mean_s"] is None) != (row["tokens_per_s"] is None)


def test_the_classic_row_is_the_published_one() -> None:
    cached, uncached = rows_for("openai-community/gpt2", 1000)
    assert (cached["mean_s"], cached["std_s"], cached["new_tokens"]) == (11.885, 0.272, 1000)
    assert (uncached["mean_s"], uncached["std_s"], uncached["speedup"]) == (56.197, 1.855, None)
    assert cached["speedup"] == round(uncached["mean_s"] / cached["mean_s"], 2)


@pytest.mark.parametrize(
    ("model", "tokens", "shown"),
    [
        ("random:gpt2", 1000, {"gpt2"}),
        ("openai-community/gpt2", 200, {"gpt2", "GPT 124M"}),
        ("openai-community/gpt2-medium", 200, {"gpt2"}),
        ("Qwen/Qwen3-0.6B", 200, {"Qwen3-0.6B"}),
        ("meta-llama/Llama-2-7b-hf", 200, {"Llama-2-7B"}),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 200, {"gpt2"}),
    ],
)
def test_the_published_rows_of_a_run_are_those_of_its_model_or_the_classic_pair(
    model: str, tokens: int, shown: set[str]
) -> None:
    assert {row["model"] for row in rows_for(model, tokens)} == shown


def test_a_caller_cannot_change_the_rows_of_the_next() -> None:
    rows_for("gpt2", 1000)[0]["mean_s"] = 0
    assert rows_for("gpt2", 1000)[0]["mean_s"] == 11.885


def test_the_a100_rows_show_that_a_cache_does_not_always_win() -> None:
    rates = {row.what: row.tokens_per_s for row in PUBLISHED if row.device == "A100"}
    assert rates == {
        "with cache": 25,
        "without cache": 26,
        "with cache, compiled": 90,
        "without cache, compiled": 107,
    }
