"""Pick tokens from logits, and record what was picked.

Picking is part of a step: it copies the chosen token to the host, because every loop needs it there (to see an end of
text, to send it on). Recording comes after the step, because it is only shown: the token's log-probability, the
runner-up and its log-probability, the entropy, and what the token was chosen from (`kvdemo.core.candidates`). So a
choice comes as a `Picked`, which keeps its logits and what each rule made of them, and `record` turns it into a plain
`Choice` once the clock has been read. Recording adds nothing to a step's time. No rule is applied again for it: what a
rule made of the logits may hang on the text as it was then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import torch
from torch import Tensor

from kvdemo.core.candidates import MOST, Candidates
from kvdemo.core.errors import BadInput
from kvdemo.core.types import UNKNOWN, Choice, Step
from kvdemo.models.device import widest
from kvdemo.models.network.forward import cache_bytes
from kvdemo.samplers import Rule
from kvdemo.strategies import candidates
from kvdemo.strategies.candidates import Stages


@dataclass(frozen=True, slots=True, eq=False)
class Picked(Choice):
    """A choice that is not recorded yet: its log-probabilities are NaN and its runner-up is UNKNOWN.

    ids     the token on the device, shape (1,): the next forward pass takes it without an upload
    logits  what it was picked from, shape (vocab,), in the model's number format; they hold until the lane's next step,
            because a CUDA graph writes the next step's logits to the same place
    stages  what each rule made of them; None where it is not recorded what the token was chosen from
    drawn   whether it was drawn; else it is the likeliest
    """

    logprob: float = field(default=math.nan, init=False)
    runner_up: int = field(default=UNKNOWN, init=False)
    runner_up_logprob: float = field(default=math.nan, init=False)
    entropy: float | None = field(default=None, init=False)
    candidates: Candidates | None = field(default=None, init=False)
    ids: Tensor
    logits: Tensor
    stages: Stages | None = None
    drawn: bool = False

    def after(self, name: str, logits: Tensor) -> Picked:
        """Put a rule of the strategy's own before those of the lane: what this was picked from, it made of `logits`."""
        stages = None if self.stages is None else [(name, self.logits.float()), *self.stages]
        return replace(self, logits=logits, stages=stages)


def greedy(logits: Tensor) -> Tensor:
    """Pick the likeliest token of each row, the first of equals: shape (..., vocab) -> (...), on the device.

    A function of tensors alone, so that it can be part of a compiled step.
    """
    return logits.argmax(-1)


def pick_on_device(token: Tensor, logits: Tensor, stages: Stages | None = None, *, drawn: bool = False) -> Picked:
    """Copy a token to the host that the device has picked from logits of shape (vocab,). This is a step's one copy."""
    return Picked(int(token), ids=token.reshape(1), logits=logits, stages=stages, drawn=drawn)


class Chooser:
    """Picks tokens by a lane's rule (`kvdemo.samplers.Rule`): its samplers change the scores, then the highest is
    taken, or one is drawn by a seeded generator.

    Each lane has its own, with a random generator of its own from the same seed: equal logits then give equal tokens
    in every lane that has the same rule. One draw is made for each token that is committed.

    plain  the likeliest token of the logits as they are: what a compiled step can do by itself
    """

    def __init__(
        self,
        rule: Rule,
        device: torch.device,
        text: Callable[[], Sequence[int]] = list,
        *,
        with_candidates: bool = False,
    ) -> None:
        """Prepare the choice; `text` gives the prompt's ids, called here and only if a sampler looks at the text.

        `with_candidates` keeps what each sampler made of the logits, so that `record` can tell what a token was chosen
        from: references, which cost the step nothing, and memory until the step is recorded.
        """
        stages = rule.stages
        self.plain = rule.greedy and not stages
        self._draws = not rule.greedy
        self._with_candidates = with_candidates
        self._processors = [(name, sampler.processor()) for name, sampler in stages]
        self._reads_text = any(sampler.reads_text for _, sampler in stages)
        self._ids = torch.tensor([list(text()) if self._reads_text else []], dtype=torch.long, device=device)
        self._generator = torch.Generator(device).manual_seed(rule.seed)

    def __call__(self, logits: Tensor) -> Picked:
        """Pick a token from logits of shape (vocab,)."""
        stages = self._stages()
        return pick_on_device(self.pick(logits, stages), logits, stages, drawn=self._draws)

    def on_host(self, token: Tensor, logits: Tensor) -> Picked:
        """Copy a token to the host that was picked elsewhere, where the rule is `plain`: as part of a compiled step."""
        return pick_on_device(token, logits, self._stages())

    def _stages(self) -> list[tuple[str, Tensor]] | None:
        """Make the list in which the stages of the next pick are kept."""
        return [] if self._with_candidates else None

    def pick(self, logits: Tensor, stages: list[tuple[str, Tensor]] | None = None) -> Tensor:
        """Pick a token from logits of shape (vocab,), and leave it on the device: shape (). The stages are added."""
        if self.plain:
            return greedy(logits)
        scores = self.scores(logits, stages)
        token = self._drawn(scores.softmax(-1)) if self._draws else greedy(scores)
        if self._reads_text:
            self._ids = torch.cat((self._ids, token.reshape(1, 1)), 1)
        return token

    def while_expected(self, rows: Tensor, expected: Sequence[int]) -> list[Picked]:
        """Pick from one row after the other as long as the token is the expected one; one more than are accepted.

        `rows` has shape (n, vocab), one more than `expected`. Plain greedy tokens of all rows are picked at once, in
        one copy. Others are picked row by row up to the first other token, one copy each: a draw for a later row would
        make this lane's generator differ from those of other lanes, and a sampler may look at the tokens before.
        """
        if self.plain:
            ids = greedy(rows)
            tokens = ids.tolist()
            n = _agreed(tokens, expected) + 1
            return [Picked(tokens[i], ids=ids[i : i + 1], logits=rows[i], stages=self._stages()) for i in range(n)]
        picked: list[Picked] = []
        for row, token in zip(rows, [*expected, UNKNOWN], strict=True):
            picked.append(self(row))
            if picked[-1].token != token:
                break
        return picked

    def scores(self, logits: Tensor, stages: list[tuple[str, Tensor]] | None = None) -> Tensor:
        """Apply the samplers to logits of shape (vocab,): float32 scores of the same shape, -inf for a cut token.

        What each of them leaves is added to `stages`.
        """
        scores = logits.float()[None]
        for name, processor in self._processors:
            scores = processor(self._ids, scores)
            if stages is not None:
                stages.append((name, scores[0]))
        return scores[0]

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the probability with which each token is drawn, shape (vocab,)."""
        return self.scores(logits).softmax(-1)

    def noise(self, like: Tensor) -> Tensor:
        """Return the numbers of the next draw, one a token. The highest probability divided by its number is picked."""
        return torch.empty_like(like).exponential_(1, generator=self._generator)

    def _drawn(self, probabilities: Tensor) -> Tensor:
        """Draw a token as `torch.multinomial` does, number for number, and without its copies to the host."""
        return (probabilities / self.noise(probabilities)).argmax(-1)


def drawable(logits: Tensor, sampling: Rule, slack: float) -> tuple[Tensor, Tensor]:
    """Tell which tokens `Chooser` may draw: surely, and perhaps, where rounding moves a probability by this share.

    From exact logits of shape (vocab,) at temperature 1; two masks of that shape. For a rule of temperature and top-p.
    """
    tempered = (logits / sampling.temperature).log_softmax(-1)
    order = tempered.sort(descending=True)
    likelier = torch.empty_like(tempered)
    likelier[order.indices] = order.values.exp().cumsum(0) - order.values.exp()  # the mass of tokens before each
    surely = likelier < sampling.top_p * (1 - slack)
    surely[order.indices[0]] = True
    return surely, likelier <= sampling.top_p * (1 + slack)


@torch.inference_mode()
def record(step: Step) -> Step:
    """Record the picked choices of a step and count its cache: after the clock was read, before the lane's next step.

    All figures of all choices come in one copy. Raises BadInput for logits that are not finite: a token that was picked
    from them must not be shown.
    """
    if step.cache is not None:
        step = replace(step, cache_bytes=step.cache_bytes + cache_bytes(step.cache), cache=None)
    picked = [choice for choice in step.choices if isinstance(choice, Picked)]
    if not picked:
        return step
    parts = [part for choice in picked for part in _figures(choice)]
    figures = iter(torch.cat([part.to(widest(part.device)) for part in parts]).tolist())
    return replace(step, choices=tuple(_recorded(c, figures) if isinstance(c, Picked) else c for c in step.choices))


def _shown(choice: Picked) -> int:
    """Count the likeliest tokens that are recorded: those of `Candidates`, or the two that a runner-up is among."""
    return min(2 if choice.stages is None else MOST, len(choice.logits))


def _figures(choice: Picked) -> list[Tensor]:
    """List the figures of one choice on the device, in the order in which `_recorded` takes them.

    Ids are whole numbers below 2**24, which float32 and float64 carry exactly.
    """
    logprobs = choice.logits.float().log_softmax(-1)
    top = logprobs.topk(_shown(choice))
    found = [logprobs[choice.ids], top.indices[:2], top.values[:2], candidates.entropy(logprobs.exp())[None]]
    if choice.stages is not None:
        found += candidates.numbers(choice.logits, choice.ids, top.indices, choice.stages)
    return found


def _recorded(choice: Picked, figures: Iterator[float]) -> Choice:
    """Make the choice with its log-probability, the likeliest of the other tokens with its own, and the rest."""
    own, first, second, *best, entropy = islice(figures, 6)
    if not math.isfinite(own):
        raise BadInput("The model's logits are not finite numbers in this number format: run it in float32.")
    likeliest, runner_up = (int(first), int(second)), 1 if first == choice.token else 0
    found = None
    if choice.stages is not None:
        found = candidates.read(figures, choice.stages, _shown(choice), choice.drawn)
    return Choice(choice.token, own, likeliest[runner_up], best[runner_up], entropy, found)


def _agreed(tokens: Sequence[int], expected: Sequence[int]) -> int:
    """Count the tokens, from the first on, that are the expected ones."""
    return next(
        (n for n, (ours, theirs) in enumerate(zip(tokens, expected, strict=False)) if ours != theirs), len(expected)
    )
