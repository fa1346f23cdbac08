"""Hold a model in memory with its tokenizer, and convert between text and tokens.

Several token sequences can spell the same text, and a token can be half a character. So `encode`, `decode` and `piece`
are three different things: `piece` is the text that one token adds after other text, which is all that a loop that
works on text ever gets.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kvdemo.core.errors import BadInput, first_line
from kvdemo.costs.activations import Widths
from kvdemo.costs.architecture import LayerCache
from kvdemo.models import device, placement
from kvdemo.models.facts import cache_shape, config_numbers, pass_widths, step_weights
from kvdemo.models.facts.pass_memory import PassMemory
from kvdemo.models.names.catalog import quoted
from kvdemo.models.network import attention
from kvdemo.models.sources.source import Source
from kvdemo.models.text.chat_template import has_template, named_templates, render
from kvdemo.models.text.detokenizer import TextStream
from kvdemo.models.text.token_bytes import BytesOf, cleaner, spelling

# A longer text is looked at for a token from its beginning on, so that it is encoded once.
BEGINNING = 200
# An ordinary word is looked for among this many tokens of a vocabulary.
MOST_TOKENS_LOOKED_AT = 5_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prompt:
    """What every lane starts from: the text that the model reads, chat template applied.

    `special` says whether the tokenizer adds its own special tokens; a chat template has written them already.
    `message` is what the user wrote, where a chat template was put around it.
    """

    text: str
    special: bool
    message: str | None = None

    @property
    def templated(self) -> bool:
        """Whether a chat template was applied, also one that writes a message as it is."""
        return self.message is not None


@dataclass(frozen=True, eq=False)
class LoadedModel:
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
    def has_chat_template(self) -> bool:
        return has_template(self.tokenizer)

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

    def prompt(self, text: str, *, chat: bool | None) -> Prompt:
        """Make the prompt as the model reads it. `chat=None` applies the chat template where there is one.

        Raises BadInput for `chat=True` on a model without a template, for a template that fails, and for a text that
        has no token. Whether all of it can be encoded, `encode` says.
        """
        if chat and not self.has_chat_template:
            names = ", ".join(named_templates(self.tokenizer))
            lacks = f"no default chat template, only {names}" if names else "no chat template"
            raise BadInput(f"{self.id} has {lacks}: switch the chat template off (--no-chat).")
        if not (text[BEGINNING:] and self._has_token(text[:BEGINNING])):
            self.encode_text(text, special=False)
        if chat is False or not self.has_chat_template:
            return Prompt(text, special=True)
        return Prompt(render(self.tokenizer, text, self.id), special=False, message=text)

    def _has_token(self, text: str) -> bool:
        try:
            return bool(self.encode_text(text, special=False))
        except BadInput:  # of what? The whole text says so
            return False

    def encode(self, prompt: Prompt, appended: str = "") -> list[int]:
        """Encode the prompt with `appended` written after it: token ids, at least one.

        Raises BadInput for a text that the tokenizer cannot encode, or that has no token, or one that the model lacks.
        """
        return self.encode_text(prompt.text + appended, special=prompt.special)

    def encode_text(self, text: str, *, special: bool) -> list[int]:
        """Encode a text with the tokenizer's own special tokens or without: ids, at least one. Raises BadInput."""
        try:
            ids = list(self.tokenizer.encode(text, add_special_tokens=special))
        except Exception as error:  # the tokenizers library raises Exception itself, and nothing finer
            raise BadInput(
                f"The tokenizer of {self.id} cannot encode this text ({first_line(error)}): write it in other words, "
                "or choose another model."
            ) from error
        if not ids:
            raise BadInput(f"For {self.id} the prompt is empty: its tokenizer makes no token of it, so write another.")
        rows = self.rows
        for token in ids:
            if not isinstance(token, int) or not 0 <= token < rows:
                raise BadInput(
                    f"The prompt has the token {self._name(token)} with the id {token}, and {self.id} knows the ids 0 "
                    f"to {rows - 1:,}: leave it out, or choose another model."
                )
        return ids

    def _name(self, token: Any) -> str:
        try:
            return quoted(str(self.tokenizer.convert_ids_to_tokens(token)))
        except Exception:  # noqa: BLE001 - an id that is none need not have a name
            return "without a name"

    def text_stream(self) -> TextStream:
        """Make a stream that turns an answer's tokens into text as they come."""
        bytes_of, errors = self._spelling
        clean = cleaner(self.tokenizer)
        own = {} if clean is None else {"clean_up_tokenization_spaces": False}
        return TextStream(lambda ids: self._decode(ids, **own), bytes_of, errors, clean)

    @cached_property
    def _spelling(self) -> tuple[BytesOf, str]:
        return spelling(self.tokenizer)

    def text_of(self, ids: Iterable[int]) -> str:
        """Decode an answer: the pieces that a stream gives of it, joined."""
        stream = self.text_stream()
        return "".join([*map(stream.push, ids), stream.flush()])

    def decode(self, ids: Sequence[int]) -> str:
        """Decode a token sequence as the tokenizer writes it, special tokens written out. Raises BadInput."""
        return self._decode(ids)

    def _decode(self, ids: Sequence[int], **options: Any) -> str:
        try:
            return str(self.tokenizer.decode(list(ids), skip_special_tokens=False, **options))
        except Exception as error:  # a tokenizer may raise anything
            raise BadInput(
                f"The tokenizer of {self.id} cannot write its tokens as text ({first_line(error)}): choose another "
                "model."
            ) from error

    def piece(self, token: int) -> str:
        """Decode one token: the text that it adds after other text.

        Decoded after an ordinary token, because tokenizers with a word-start mark (SentencePiece) drop the
        space of whatever comes first. Half a character becomes U+FFFD, as it does in any loop over text.
        """
        stream = self._after_a_word.branch()
        return stream.push(token) + stream.flush()

    @cached_property
    def _after_a_word(self) -> TextStream:
        """Make a stream that has written the first token that is letters or digits alone, if the vocabulary has one."""
        stream = self.text_stream()
        for token in range(min(len(self.tokenizer), MOST_TOKENS_LOOKED_AT)):
            if self.decode([token]).isalnum():
                stream.push(token)
                break
        return stream

    def facts(self) -> dict[str, Any]:
        """Build the JSON document's "model" entry. Sizes are None where they are not known.

        "kv_heads" and "head_dim" are of the cache's keys: a number where all layers that keep keys agree, else a
        sorted list.
        """
        layers = self.layers
        growing = [layer for layer in layers or () if layer.per_position]
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
            "heads": _one_or_all(config_numbers.whole_numbers(self.config, "num_attention_heads")),
            "kv_heads": _one_or_all({layer.kv_heads for layer in growing}),
            "head_dim": _one_or_all({layer.head_dim for layer in growing}),
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


def _one_or_all(numbers: Iterable[int]) -> int | list[int] | None:
    """Return the number where there is one, a sorted list where there are several, None where there is none."""
    found = sorted(set(numbers))
    return found if len(found) > 1 else next(iter(found), None)
