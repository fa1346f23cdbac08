"""Turn token ids into text one token at a time, without showing half characters."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence
from copy import copy

# A character is at most four bytes, so at most four byte tokens; what is still no character then is none.
MOST_TOKENS_PER_CHARACTER = 4

# Some tokenizers (CTRL) mark a part of a word that goes on, and take the mark away when it does.
_WORD_GOES_ON = "@@"
MOST_PARTS_PER_WORD = 16

# The name of an error handler for `bytes.decode`: one U+FFFD for each byte that belongs to no character.
EACH_BYTE = "kvdemo.each_byte"
codecs.register_error(EACH_BYTE, lambda error: ("\ufffd" * (error.end - error.start), error.end))  # type: ignore[attr-defined]

# A cleaner of spaces (`PreTrainedTokenizerBase.clean_up_tokenization`) removes the space of " .", " ' ", " n't", " 've"
# and the like. An end that may still become one of them is a space followed by these letters only.
_UNCLEAN_END = re.compile(r" [ 'nvr]*$")


def _no_bytes(_: int) -> bytes | None:
    return None


class TextStream:
    """Gives the text that each token adds to an answer; text that may still change comes with a later token.

    What all pushes and `flush` return, joined, is the text of the answer: what `decode` makes of all its tokens. Text
    that was given is never taken back. So where an answer breaks off within a character, all whole characters before it
    stay, and U+FFFD stands for the rest. (The tokenizers library gives up a whole run of byte tokens for one
    such character.) Each push decodes a handful of tokens, however long the answer has grown.

    decode    ids -> their text, an answer of its own
    bytes_of  the bytes that a token stands for, b"" if it has no text; None for a token that stands for characters
    errors    how bytes that are no character are written: an error handler of `bytes.decode`
    clean     removes spaces from a finished text; `decode` has not done it
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        bytes_of: Callable[[int], bytes | None] = _no_bytes,
        errors: str = "replace",
        clean: Callable[[str], str] | None = None,
    ) -> None:
        self.decode, self._bytes_of, self._errors, self._clean = decode, bytes_of, errors, clean
        # Tokens are decoded together with those before them: many tokenizers write a word's space only inside a text.
        self._before: tuple[int, ...] = ()
        self._pending: tuple[int, ...] = ()
        self._partial = b""
        self._lead: tuple[int, ...] | None = ()  # the tokens so far, while they have no text
        self._unclean = ""

    def branch(self) -> TextStream:
        """Make a stream of its own that goes on from here, for texts that begin alike."""
        return copy(self)

    def push(self, token: int) -> str:
        """Add a token; return the text that it makes whole."""
        data = self._bytes_of(token)
        if data == b"":
            return ""
        text = self._end_bytes() if data is None else self._end_characters()
        if text:
            self._lead = None
        text += self._characters(token) if data is None else self._bytes(token, data)
        if self._lead is not None:
            self._lead = None if text else (*self._lead, token)
        return self._cleaned(text)

    def flush(self) -> str:
        """Return the text that was still held back: the answer is over."""
        text = self._unclean + self._end_characters() + self._end_bytes()
        self._unclean = ""
        return self._clean(text) if self._clean else text

    def _bytes(self, token: int, data: bytes) -> str:
        data = self._partial + data
        text, used = codecs.utf_8_decode(data, self._errors, False)
        self._partial, self._before = data[used:], (token,)
        if text.isspace() and self._lead is not None:
            # Some tokenizers strip the space that an answer begins with. The token may begin a character after it.
            return self.decode((*self._lead, token)).removesuffix(self._broken())
        return text

    def _end_bytes(self) -> str:
        text = self._broken()
        self._partial = b""
        return text

    def _broken(self) -> str:
        """Write bytes that wait for the rest of their character."""
        return codecs.utf_8_decode(self._partial, self._errors, True)[0]

    def _characters(self, token: int) -> str:
        self._pending = (*self._pending, token)
        text = self._text_of_pending()
        most = MOST_PARTS_PER_WORD if text.endswith(_WORD_GOES_ON) else MOST_TOKENS_PER_CHARACTER
        waits = not text or text.endswith(("\ufffd", _WORD_GOES_ON))
        return "" if waits and len(self._pending) < most else self._go_on_behind(text)

    def _end_characters(self) -> str:
        return self._go_on_behind(self._text_of_pending()) if self._pending else ""

    def _go_on_behind(self, text: str) -> str:
        if text or not self._before:  # tokens without text are no place to go on from
            self._before = self._pending
        self._pending = ()
        return text

    def _text_of_pending(self) -> str:
        before, whole = self.decode(self._before), self.decode((*self._before, *self._pending))
        if whole.startswith(before):
            return whole[len(before) :]
        same = next(n for n, (one, other) in enumerate(zip(before, f"{whole}\0", strict=False)) if one != other)
        return whole[same:]

    def _cleaned(self, text: str) -> str:
        if self._clean is None:
            return text
        text = self._unclean + text
        end = _UNCLEAN_END.search(text)
        whole = text[: end.start()] if end else text
        self._unclean = text[len(whole) :]
        return self._clean(whole)
