"""Define what a sampler is: one rule that changes the scores of the next token before one is chosen.

To add one: write a file in this folder with a concrete subclass of `Sampler`. It is found there; its options become
settings of every lane that samples, on the command line, in links, the API and the document, and the contract tests
hold it to what every sampler must do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from transformers import LogitsProcessor

from kvdemo.core.types import Option, options_of


class Sampler(ABC):
    """One rule. These attributes are literals: they are read without an import. The class docstring explains it.

    id         its stable name
    name       what people call it
    summary    one line on what it does
    place      where it stands in the order in which rules are applied; that of `generate()` for those that it has
    greedy_too it is applied where the likeliest token is taken, too; others only where a token is drawn
    reads_text it looks at the tokens before, so that rows of one pass are decided one after the other

    An option at its default is off. A sampler with all options off is not applied.
    """

    id: ClassVar[str]
    name: ClassVar[str]
    summary: ClassVar[str]
    place: ClassVar[int]
    greedy_too: ClassVar[bool] = False
    reads_text: ClassVar[bool] = False

    def __init__(self, **values: float | str) -> None:
        """Take the values of its own options, all checked."""
        for name, option in self.options().items():
            setattr(self, name, values.get(name, option.default))

    @classmethod
    def options(cls) -> dict[str, Option]:
        """Return the options by name, in the order in which they are written."""
        return options_of(cls)

    @property
    def active(self) -> bool:
        """Whether any option is on."""
        return any(getattr(self, name) != option.default for name, option in self.options().items())

    @abstractmethod
    def processor(self) -> LogitsProcessor:
        """Make what changes scores of shape (rows, vocab), given the ids before, shape (rows, positions).

        A token that it cuts gets the score -inf. At least one token is left. The scores that it is given stay as they
        are: they are kept, to show what each rule has done. It copies nothing to the host, which would take a step
        longer.
        """
