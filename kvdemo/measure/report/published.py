"""List published figures of others, to be shown beside a measurement and never as part of it.

Each row carries the basis "published" and names the work that it is from. Read them with care: they were taken with
other code, on other devices, some without a warm-up, and a standard deviation is that of their authors' formula: in
the T4 rows it is `numpy.std`, which divides by n. Those rows time `generate()`, which may end early at an end of text.

A speedup stands only where it can be worked out from published times: figures rounded to whole tokens a second (1
against 80) do not carry one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One published figure: seconds for a whole text, or tokens a second, whichever was published.

    new_tokens  length of the generated text; None where the source does not state it
    speedup     over the row without a cache, from the two published means
    """

    basis: str = field(default="published", init=False)
    device: str
    model: str
    new_tokens: int | None
    what: str
    source: str
    mean_s: float | None = None
    std_s: float | None = None
    tokens_per_s: float | None = None
    speedup: float | None = None


_T4 = "João Lages, “Transformers KV Caching Explained” (Medium); 10 repeats, Google Colab, ± as numpy.std"
T4 = (
    PublishedRow("Tesla T4", "gpt2", 1000, "with cache", _T4, mean_s=11.885, std_s=0.272, speedup=4.73),
    PublishedRow("Tesla T4", "gpt2", 1000, "without cache", _T4, mean_s=56.197, std_s=1.855),
)

_GPT = "rasbt/LLMs-from-scratch, README of ch04/03_kv-cache"
GPT_124M = (
    PublishedRow("Mac Mini M4 CPU", "GPT 124M", 200, "with cache", _GPT, tokens_per_s=110),
    PublishedRow("Mac Mini M4 CPU", "GPT 124M", 200, "without cache", _GPT, tokens_per_s=27),
)

_QWEN = "rasbt/LLMs-from-scratch, README of ch05/11_qwen3"
QWEN3 = (
    PublishedRow("Mac Mini M4 CPU", "Qwen3-0.6B", 150, "with cache", _QWEN, tokens_per_s=80),
    PublishedRow("Mac Mini M4 CPU", "Qwen3-0.6B", 150, "without cache", _QWEN, tokens_per_s=1),
    PublishedRow("A100", "Qwen3-0.6B", 150, "with cache", _QWEN, tokens_per_s=25),
    PublishedRow("A100", "Qwen3-0.6B", 150, "without cache", _QWEN, tokens_per_s=26),
    PublishedRow("A100", "Qwen3-0.6B", 150, "with cache, compiled", _QWEN, tokens_per_s=90),
    PublishedRow("A100", "Qwen3-0.6B", 150, "without cache, compiled", _QWEN, tokens_per_s=107),
)

_GPT_FAST = "pytorch-labs/gpt-fast, README (base: no quantisation; 1397 GB/s; 5 prompt tokens; power limited to 330 W)"
LLAMA_2_7B = (PublishedRow("A100 80GB", "Llama-2-7B", None, "with cache", _GPT_FAST, tokens_per_s=104.9),)

PUBLISHED = T4 + GPT_124M + QWEN3 + LLAMA_2_7B


def rows_for(model_id: str, max_new_tokens: int) -> list[dict[str, Any]]:
    """Choose the rows worth showing beside a run of this model, as the document's "published" entries.

    Those of the same model where there are any; else the T4 pair, as orientation. The 124M rows are for gpt2's shape
    and a text of 200 tokens: they join the T4 pair where the run is of about that length, within a factor of two.
    """
    name = model_id.lower().replace("_", "-")
    rows: tuple[PublishedRow, ...] = T4
    if "qwen3-0.6b" in name:
        rows = QWEN3
    elif "llama-2-7b" in name:
        rows = LLAMA_2_7B
    elif name.rpartition("/")[2].removeprefix("random:") == "gpt2" and 100 <= max_new_tokens <= 400:
        rows = T4 + GPT_124M
    return [asdict(row) for row in rows]
