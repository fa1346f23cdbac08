"""Hold a model in memory with its tokenizer, and say what it is: its devices, sizes and shape."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kvdemo.core.errors import BadInput
from kvdemo.costs.activations import Widths
from kvdemo.costs.architecture import LayerCache, one_or_all
from kvdemo.models import device, placement
from kvdemo.models.facts import cache_shape, config_numbers, pass_widths, step_weights
from kvdemo.models.facts.pass_memory import PassMemory
from kvdemo.models.network import attention
from kvdemo.models.sources.source import Source
from kvdemo.models.text.codec import Codec

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LoadedModel(Codec):
    """A causal language model ready to decode, in eval mode, on one device or spread over several.

    `downloads`: what a lane needs beside it (a draft model) may be downloaded while the lane has the device.
    """

    id: str
    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    source: Source
    downloads: bool = True

    @property
    def device(self) -> torch.device:
        """Where the model takes ids and gives logits."""
        return self.devices[0]

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """The devices that compute, the one that takes ids first."""
        return placement.devices(self.network)

    @property
    def spread(self) -> dict[str, int] | None:
        """Bytes of weights on each device that transformers has spread the model over; None for one device."""
        return placement.bytes_on(self.network)

    @property
    def dtype(self) -> torch.dtype:
        return self.network.dtype

    @property
    def config(self) -> Any:
        """The text model's configuration (multimodal models keep theirs inside another)."""
        return self.network.config.get_text_config(decoder=True)

    @cached_property
    def context_length(self) -> int | None:
        """The most positions that the model can attend to; None where its configuration sets no limit."""
        return config_numbers.context_length(self.network)

    @property
    def layer_count(self) -> int:
        """The number of layers of the text part."""
        return config_numbers.layer_count(self.config)

    @cached_property
    def layers(self) -> tuple[LayerCache, ...] | None:
        """What each layer keeps of a text, by the shapes of a cache's tensors; None where no formula gives it.

        The model is built again on the meta device for that, once, in up to a second.
        """
        try:
            return cache_shape.read_layer_caches(self.network, self.id)
        except BadInput as error:
            log.info("%s", error)
            return None

    @cached_property
    def widths(self) -> Widths:
        """How wide the passes of the model are."""
        return pass_widths.read(self.network, self.layers, self.device.type)

    @cached_property
    def pass_memory(self) -> PassMemory:
        """What passes of the model over a text take, measured on a copy without numbers."""
        return PassMemory(self.network, self.id)

    @property
    def weight_bytes(self) -> int:
        """The bytes of the weights that are held; a weight with two names (a tied embedding) once."""
        return sum(parameter.nbytes for parameter in self.network.parameters())

    @cached_property
    def read_bytes(self) -> int:
        """The bytes of the weights that one decoding step reads: see `step_weights`.

        All that are held, where the configuration does not say how many experts a token is sent to.
        """
        try:
            return step_weights.read_bytes(self.network, self.id)
        except BadInput as error:
            log.info("%s", error)
            return self.weight_bytes

    @property
    def attention(self) -> str | None:
        """The implementation of attention that transformers runs for this model: sdpa, eager, flash_attention_2 ..."""
        return getattr(self.config, "_attn_implementation", None)

    @cached_property
    def eos_ids(self) -> frozenset[int]:
        """The tokens that end a text, from the generation config and the tokenizer."""
        listed = self.network.generation_config.eos_token_id if self.network.generation_config else None
        ids = listed if isinstance(listed, list) else [listed]
        return frozenset(i for i in [*ids, self.tokenizer.eos_token_id] if isinstance(i, int))

    def synchronize(self) -> None:
        """Wait until each device has done all work given to it, so that a clock can be read."""
        device.synchronize(*self.devices)

    @cached_property
    def rows(self) -> int:
        """The number of token ids that the model knows: the rows of its embedding."""
        weight = getattr(self.network.get_input_embeddings(), "weight", None)
        return int(self.config.vocab_size if weight is None else weight.shape[0])

    def facts(self) -> dict[str, Any]:
        """Build the JSON document's "model" entry. Sizes are None where they are not known.

        "kv_heads" and "head_dim" are of the cache's keys: a number where all layers that keep keys agree, else a
        sorted list.
        """
        layers = self.layers
        growing = [layer for layer in layers or () if layer.kv_heads]
        stated = config_numbers.whole_numbers(self.config, "num_attention_heads")
        return {
            "id": self.id,
            "source": {"kind": self.source.kind, "location": self.source.location},
            "revision": self.source.revision,
            "dtype": device.dtype_name(self.dtype),
            "device": ", ".join(map(str, self.devices)),
            "random_weights": self.source.kind == "random weights",
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "weight_bytes": self.weight_bytes,
            "layers": len(layers) if layers else None,
            "heads": one_or_all({layer.query_heads for layer in growing} - {0} or stated),
            "kv_heads": one_or_all({layer.kv_heads for layer in growing}),
            "head_dim": one_or_all({layer.head_dim for layer in growing}),
            "vocab_size": self.rows,
            "context_length": self.context_length,
            "chat_template": self.has_chat_template,
            "attention": attention.describe(self.attention, self.device)["attention_line"],
        }


class WithoutWeights(LoadedModel):
    """A model's tokenizer and shape, for a race that other machines compute: text is read and written on the CPU."""

    @property
    def devices(self) -> tuple[torch.device, ...]:
        return (torch.device("cpu"),)
