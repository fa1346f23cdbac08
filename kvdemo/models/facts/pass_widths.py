"""Read from a loaded network how wide its passes are: from the shapes of its weights, which have no family's names."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from transformers import PreTrainedModel

from kvdemo.costs.activations import Widths
from kvdemo.costs.architecture import LayerCache
from kvdemo.models.facts import config_numbers
from kvdemo.models.facts.pass_memory import FUSED_ON

#: Activation functions that transformers computes operation by operation.
_ACTIVATION = ("hidden_act", "activation_function", "hidden_activation")
_STEPWISE = {"gelu_new", "gelu_fast", "gelu_python", "gelu_python_tanh", "gelu_accurate", "laplace", "xielu"}


def read(network: PreTrainedModel, layers: Sequence[LayerCache] | None, device_type: str) -> Widths:
    """Read the widths of a model whose layers keep what `layers` says, on a device of this type.

    Where that is None, each query head is taken to have keys and values of its own.
    """
    text = network.config.get_text_config(decoder=True)
    inner = _inner(network)
    hidden = int(getattr(text, "hidden_size", None) or inner)
    heads = max(config_numbers.whole_numbers(text, "num_attention_heads"), default=0)
    if layers is None:
        layers = [LayerCache("full", heads, getattr(text, "head_dim", None) or -(-hidden // heads))] if heads else []
    keeping = [layer for layer in layers if layer.kv_heads]
    heads = max((layer.query_heads for layer in keeping), default=0) or heads
    kv_heads = max((layer.kv_heads for layer in keeping), default=0)
    attention = getattr(text, "_attn_implementation", None)
    return Widths(
        hidden=hidden,
        inner=inner * (config_numbers.experts_a_token(text) if _has_experts(network) else 1),
        heads=heads or kv_heads,
        kv_heads=kv_heads,
        head_dim=max((max(layer.head_dim, layer.value_dim) for layer in keeping), default=0),
        vocab=int(text.vocab_size),
        parts=5 if _STEPWISE & {getattr(text, name, None) for name in _ACTIVATION} else 3,
        fused=attention != "eager" and device_type in FUSED_ON,
    )


def _has_experts(network: PreTrainedModel) -> bool:
    """Tell whether there are experts: a configuration may say how many a token is sent to where there are none."""
    return any("experts" in path.split(".") for path, _ in network.named_parameters())


def _inner(network: PreTrainedModel) -> int:
    """Find the widest product of a layer: the larger side of its weights, not of the tables and the head."""
    head = network.get_output_embeddings()
    tables = [part for part in network.modules() if isinstance(part, nn.Embedding)] + ([] if head is None else [head])
    facing = {id(weight) for table in tables for weight in table.parameters()}
    sides = (max(weight.shape[-2:]) for weight in network.parameters() if weight.ndim > 1 and id(weight) not in facing)
    return max(sides, default=0)
