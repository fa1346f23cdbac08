"""What a configuration states is read in one place, where each model's own way to state it is known."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import kvdemo

PACKAGE = Path(kvdemo.__file__).parent
#: What shapes the tensors of a model, under the names of most configurations, and the type of a model.
SHAPES = {
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
    "sliding_window", "layer_types", "num_kv_shared_layers", "vocab_size", "max_position_embeddings", "kv_lora_rank",
    "num_experts", "num_local_experts", "num_experts_per_tok", "model_type",
}  # fmt: skip
#: The places: facts, what builds and loads models, and what calculates from a plan's shape.
MAY = ("models", "costs")


def read_in(source: str) -> list[str]:
    """The attributes of configurations among SHAPES that Python code reads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in SHAPES:
            of = node.value
            named = of.attr if isinstance(of, ast.Attribute) else of.id if isinstance(of, ast.Name) else ""
            if named == "config" or named.endswith("_config"):
                found.append(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            name = node.args[1]
            of = node.args[0]
            named = of.attr if isinstance(of, ast.Attribute) else of.id if isinstance(of, ast.Name) else ""
            if isinstance(name, ast.Constant) and name.value in SHAPES and "config" in named:
                found.append(name.value)
    return found


@pytest.mark.parametrize(
    "source",
    ["model.config.head_dim", "text_config.vocab_size", "getattr(model.config, 'num_key_value_heads', None)"],
)
def test_a_read_of_a_configuration_is_seen(source: str) -> None:
    assert len(read_in(source)) == 1


def test_no_shape_is_read_of_a_configuration_elsewhere() -> None:
    elsewhere = [path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in MAY]
    assert len(elsewhere) > 100
    reads = {str(path.relative_to(PACKAGE)): read_in(path.read_text("utf-8")) for path in elsewhere}
    assert {path: names for path, names in reads.items() if names} == {}


def test_no_model_is_told_by_its_type_elsewhere() -> None:
    """What a model can do is tried. A list of types is wrong for the next one."""
    types = {"llama", "qwen3", "gemma3_text", "mistral", "mixtral", "deepseek_v3", "phi3", "gpt_oss", "falcon"}
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in MAY:
            continue
        texts = [n.value for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Constant)]
        assert types.isdisjoint(text for text in texts if isinstance(text, str)), path
