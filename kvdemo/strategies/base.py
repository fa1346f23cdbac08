"""Define what a decoding strategy is: `Strategy`, its settings (`option`), and what a lane gives it (`Job`).

A strategy is an endless generator of `Step`s. It commits at least one token a step and never asks whether
it should stop: token counts, end-of-text tokens and the Stop button belong to the lane around it. (One that cannot
see the token that ends a text, because another machine decodes, ends with the text.) It never reads a clock, prints,
or knows of a page.

A setting is a class attribute made by `option`: it becomes a control in the page and part of a link, and an
instance holds its value.

To add one: write a file in this folder, in its family's, with a concrete subclass that has an id. It is found there,
also if it extends another strategy; its `name` and `summary` introduce it in the page, its class docstring explains it,
and the contract tests run it on every test model. Another package adds its own by an entry point (`plugins`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from kvdemo.core.picture import Picture
from kvdemo.core.settings import strategy_spec
from kvdemo.core.settings.race import Sampling
from kvdemo.core.types import LaneInfo, Option, Pass, Step, TimedStep, option, options_of
from kvdemo.costs.architecture import LayerCache
from kvdemo.samplers import Rule
from kvdemo.samplers import options as sampler_options
from kvdemo.strategies.lane_name import lane_name

__all__ = ["Beside", "Job", "Strategy", "option"]

if TYPE_CHECKING:
    from kvdemo.caches.prefix_store import PrefixSlot
    from kvdemo.core.cancellation import CancelToken
    from kvdemo.core.figures.requests import RequestTotals
    from kvdemo.models.loaded import LoadedModel
    from kvdemo.models.text.codec import Prompt
    from kvdemo.strategies.chooser import Chooser


@dataclass(frozen=True)
class Job:
    """What one lane is given to work with.

    encode          text appended to the prompt -> token ids of the whole; timed apart as tokenisation
    choose          logits of one position, shape (vocab,) -> the chosen token, by the rule that `sampling` names;
                    its `ids` are for the next forward pass, and its log-probability is recorded after the step
    max_new_tokens  no more tokens than this will be asked for
    ends            tokens at which the lane ends: for one that weighs whole texts. Nobody else has to look
    handover        what an earlier race kept, and where to leave what the next one may use; None where nothing is kept
    tell            takes a sentence on what is being done, before work that takes long
    """

    model: LoadedModel
    prompt: Prompt
    encode: Callable[[str], list[int]]
    choose: Chooser
    max_new_tokens: int
    ends: Collection[int] = ()
    sampling: Rule = field(default_factory=Rule)
    handover: PrefixSlot | None = None
    tell: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Beside:
    """What a lane holds in memory beside its own cache and the model.

    new_bytes  bytes that do not grow with the text, and that are not in memory yet; `owner` tells equal ones apart
    layers     what each layer of a draft model keeps; () without one
    """

    new_bytes: int = 0
    owner: str = ""
    layers: Sequence[LayerCache] = ()


class Strategy(ABC):
    """One way to decode. These attributes are literals, which may be inherited: they are read without an import.

    id        the stable name used on the command line, in URLs and in documents
    name      what people call it
    summary   one line on what it does
    lossless  in float32 and greedy, it gives the same tokens as `generate()` as long as it is fed the same ids
              (not with RoBERTa and its kin: `generate()` numbers their positions from 0, where their own code, which
              all strategies run, goes on from padding_idx + 1, as in training)

    One that has another machine decode says so by `elsewhere`: it cannot be made to wait while others have their
    turns, and what it warms up with must not be the prompt, which that machine would remember. One that starts from
    what an earlier race kept, and leaves something to the next (`Job.handover`), says so by `keeps_prefix`.

    `picture` says what its steps compute and keep, so that the page can draw them before a race (`core.picture`). It is
    written as a call with literals. Without one, the page draws the steps once they have run.

    What its steps cost follows from these. The defaults fit a strategy that runs one position of one row a step:

    recomputes       each step runs the whole text again
    searches         tokens are committed when the search is certain of them, so there is no TTFT and no TPOT
    rows_from        the setting that says how many rows are decoded side by side; empty for one
    prefills_once    the prompt runs in one row, whatever the number of rows that go on from it
    drafts_from      the setting that says how many passes of a draft model one token may take; empty for none
    eager            PyTorch runs its operations one by one: they can be counted, and run in another number format. Not
                     those of compiled code
    samples          its tokens are chosen by the lane's samplers; false for one that has a rule of its own
    formula_note     what the formula for an exact cache stands for, where the cache holds something else
    no_candidates    one sentence on why it cannot be said what its tokens were chosen from, where it does not pick them
                     by `Job.choose`; empty where it does
    """

    id: ClassVar[str]
    name: ClassVar[str]
    summary: ClassVar[str]
    lossless: ClassVar[bool]
    elsewhere: ClassVar[bool] = False
    recomputes: ClassVar[bool] = False
    searches: ClassVar[bool] = False
    rows_from: ClassVar[str] = ""
    prefills_once: ClassVar[bool] = False
    drafts_from: ClassVar[str] = ""
    eager: ClassVar[bool] = True
    keeps_prefix: ClassVar[bool] = False
    picture: ClassVar[Picture | None] = None
    samples: ClassVar[bool] = True
    formula_note: ClassVar[str | None] = None
    no_candidates: ClassVar[str] = ""

    def __init__(self, **values: float | str) -> None:
        """Take the values of its own settings, and of samplers (`kvdemo.samplers`), kept as `sampling`."""
        own, self.sampling = strategy_spec.read_lane(
            self.id, self.options(), sampler_options() if self.samples else {}, values
        )
        for name, value in own.items():
            setattr(self, name, value)

    @classmethod
    def options(cls) -> dict[str, Option]:
        """Return the settings by name, those of the bases first, in the order in which they are written."""
        return options_of(cls)

    @property
    def values(self) -> strategy_spec.Values:
        """What each setting is set to."""
        return {name: getattr(self, name) for name in self.options()}

    @property
    def spec(self) -> str:
        """This strategy with its settings as one word; the bare id where all are at their defaults."""
        return strategy_spec.write(self.id, self.options(), self.values, self.sampling)

    @property
    def info(self) -> LaneInfo:
        """How a lane of it introduces itself."""
        name = lane_name(self.name, self.options(), self.values, self.sampling)
        return LaneInfo(
            self.id, name, self.summary, self.lossless, self.values, self.elsewhere, self.searches,
            no_candidates=self.no_candidates,
        )  # fmt: skip

    def info_in(self, race: Sampling) -> LaneInfo:
        """How a lane of it introduces itself where so is sampled, with the settings by which it chooses."""
        return replace(self.info, sampling=Rule(race, self.sampling).recorded if self.samples else {})

    @property
    def rows_held(self) -> int:
        """How many sequences its cache holds."""
        return int(self.values[self.rows_from]) if self.rows_from else 1

    def kept(self, positions: int) -> int:
        """Count the positions of a text whose keys and values are kept in each row, where the layers keep all."""
        return 0 if self.recomputes or self.elsewhere else positions

    def largest_passes(self, prompt: int, new_tokens: int) -> tuple[Pass, ...]:
        """List the passes of a run that may take the most memory: that of the prompt, and the last one."""
        if self.elsewhere:
            return ()
        context = prompt + new_tokens - 1
        if self.recomputes:
            return (Pass(1, context, context),)
        drafted = int(self.values[self.picture.draft]) if self.picture and self.picture.draft else 0
        reserved = context if self.picture and self.picture.keeps == "reserved" else prompt
        return (
            Pass(1 if self.prefills_once else self.rows_held, prompt, reserved),
            Pass(self.rows_held, 1 + drafted, self.kept(context) + drafted, logits=1 + drafted),
        )

    def held_beside(self, model: LoadedModel) -> Beside:  # noqa: ARG002 - most hold nothing else
        """Say what a lane holds beside its own cache and the model."""
        return Beside()

    def unavailable_reason(self, model: LoadedModel) -> str | None:  # noqa: ARG002 - most run everywhere
        """Say in a sentence why this strategy cannot run on this model here; None if it can."""
        return None

    def draft_model(self, model: LoadedModel) -> LoadedModel | None:  # noqa: ARG002 - most draft nothing
        """Return the smaller model whose passes are among those of its steps (`Pass.draft`); None without one."""
        return None

    def remarks(self, steps: Sequence[TimedStep]) -> list[str]:  # noqa: ARG002 - most have nothing to add
        """Say what this run showed of the strategy's own trade-off, in sentences with figures, for the verdict."""
        return []

    def settle(self, stop: CancelToken) -> RequestTotals | None:  # noqa: ARG002 - most have nothing beside their steps
        """Wait, when the lane has ended, for what goes on beside its steps; return what all of that showed.

        No other lane of another machine starts before. It is given up once `stop` is set.
        """
        return None

    def post_race_check(
        self,
        model: LoadedModel,  # noqa: ARG002
        prompt_ids: Sequence[int],  # noqa: ARG002
        steps: Sequence[TimedStep],  # noqa: ARG002
        stop: CancelToken,  # noqa: ARG002
    ) -> list[str]:
        """Run the model again after the race, and say in sentences what that showed.

        `stop` is checked before each pass; once it is set, no sentences are returned.
        """
        return []

    @abstractmethod
    def decode(self, job: Job) -> Iterator[Step]:
        """Commit tokens, step by step, for as long as it is asked to.

        The first step includes tokenisation and prefill. The call that makes the generator is not timed: what is done
        once, such as compiling, belongs there (`compiled_cache`). Decorate with `@torch.inference_mode()`: a
        `with` block inside a generator would leak into the caller while the generator is suspended.
        """
