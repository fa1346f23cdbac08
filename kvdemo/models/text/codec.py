"""Read and write text as a model does: convert between text and tokens, and make its prompt.

Several token sequences can spell the same text, and a token can be half a character. So `encode`, `decode` and `piece`
are three different things: `piece` is the text that one token adds after other text, which is all that a loop that
works on text ever gets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from transformers import PreTrainedTokenizerBase

from kvdemo.core.errors import BadInput, in_words
from kvdemo.models.names.catalog import quoted
from kvdemo.models.text.chat_template import has_template, named_templates, render
from kvdemo.models.text.detokenizer import TextStream
from kvdemo.models.text.token_bytes import BytesOf, cleaner, spelling

# A longer text is looked at for a token from its beginning on, so that it is encoded once.
BEGINNING = 200
# An ordinary word is looked for among this many tokens of a vocabulary.
MOST_TOKENS_LOOKED_AT = 5_000


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


class Codec(ABC):
    """A tokenizer beside the rows of a model's embedding, under the name that errors give."""

    id: str
    tokenizer: PreTrainedTokenizerBase

    @property
    @abstractmethod
    def rows(self) -> int:
        """The number of token ids that the model knows."""

    @property
    def has_chat_template(self) -> bool:
        return has_template(self.tokenizer)

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
                f"The tokenizer of {self.id} cannot encode this text ({in_words(error)}): write it in other words, "
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
                f"The tokenizer of {self.id} cannot write its tokens as text ({in_words(error)}): choose another model."
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
