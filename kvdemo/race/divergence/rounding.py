"""Measure what rounding does to a model's log-probabilities, on the model and the text in question.

A sum of floating-point numbers depends on the order of its terms, so two lanes that compute the same sums get logits
that differ a little. How much depends on the number format, the model and the position. So the last positions of a
text are computed again, with the tokens that were written:

    exact      all in one pass, in the next wider number format (float32 for a 16-bit model, float64 for float32), with
               the weights as they are; each module's weights are widened while it runs, so that no copy is needed
    whole      the same pass in the model's own format
    reordered  in the model's own format, with the terms of each linear layer's sums in the opposite order
    perturbed  if those do not settle it: `whole` again a few times, with the output of each module changed in its last
               place at random positions (Monte Carlo arithmetic, Parker 1997). This shows where the model amplifies
               small differences: a router of experts whose scores tie picks another expert

The differences of the last three from `exact` are what rounding does (`unit`). If no wider format can be used, `whole`
stands for `exact`, and `reference` says so. None of these passes has a cache: one that is wrong would be compared with
itself, and pass its own fault off as rounding.

Where the model takes the highest of some scores, as an indexer of sparse attention does, and equal ones are left out,
the result depends on which it takes. That is not rounding, and no format is wide enough to settle it. So all passes
take the first of equal ones (`kvdemo.models.network.ties`). What other choices do is measured, if it is needed:

    tied       `exact` again a few times, with any of equal scores taken, drawn by chance

In 16 bits rounding is large enough to hide a small fault of a lane, and so are choices among equal scores in any
format. So a lane's own last steps are run again in the wider format too, taking the first of equal scores
(`rerun_squares`): they agree with the exact ones, or the lane computes something else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from kvdemo.core.errors import BadInput
from kvdemo.models.device import dtype_name, widest
from kvdemo.models.facts import rope
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import forward
from kvdemo.models.network.ties import Ties
from kvdemo.models.text.codec import Prompt
from kvdemo.strategies.base import Job
from kvdemo.strategies.compatibility.scripted_lane import Decode, Script

log = logging.getLogger(__name__)

#: Positions at the end of the text that are looked at.
WINDOW = 16
#: Likeliest tokens of each position that are looked at.
_TOP = 16
WIDER = {torch.bfloat16: torch.float32, torch.float16: torch.float32, torch.float32: torch.float64}
_SAMPLES, _SHARE = 4, 1 / 16
#: Positions of a lane that are run again: the one after the prompt, which is always right, and the steps after it.
_RERUN = 3


class Rounding:
    """The last positions of a text, computed in several exact ways. Log-probabilities have shape (positions, vocab).

    format     the model's number format, by name
    reference  the number format of `exact`
    exact      its log-probabilities
    order      how much `whole` and `reordered` differ at the last position (root mean square over its likeliest
               tokens); None where they do not, as where no layer is a plain linear one
    ties       whether the model takes some of equal scores in the text
    """

    def __init__(self, model: LoadedModel, ids: Sequence[int], positions: int) -> None:
        """Ask for `positions`; fewer are there where the text is shorter or its rotary factors were others.

        Raises BadInput for log-probabilities that are no numbers.
        """
        self._model = model
        self._ids = torch.tensor(list(ids), device=model.device)
        line = max((line for line in rope.switch_lengths(model.config) if line < len(ids)), default=0)
        self.positions = min(positions, len(ids) - line, WINDOW)
        self.ties = False
        whole, wide = self._pass(), self._wider()
        if wide is None:  # then two orders are all there is: the last position is judged alone
            self.positions, whole = 1, whole[-1:]
        self.exact = whole if wide is None else wide
        self.format = dtype_name(model.dtype)
        self.reference = self.format if wide is None else dtype_name(WIDER[model.dtype])
        self._top = self.exact.topk(min(_TOP, self.exact.shape[-1])).indices
        reordered = self._reordered()
        order = self._square(reordered, whole)
        self.order = float(order[-1].sqrt()) or None
        if wide is None:
            self._squares = order
        else:
            self._squares = (self._square(whole, self.exact) + self._square(reordered, self.exact)) / 2
        self._of_ties: list[Tensor] = []
        self.perturbed = False

    @property
    def unit(self) -> Tensor:
        """What rounding does at each position, and ties where they were tried: shape (positions,).

        Root mean square over its likeliest tokens. Half of it is the position's own, half that of all: sixteen numbers
        alone are a rough estimate.
        """
        own = self.rounding_unit
        return torch.maximum(own, _unit(torch.stack(self._of_ties).mean(0))) if self._of_ties else own

    @property
    def rounding_unit(self) -> Tensor:
        """What rounding alone does at each position, shape (positions,)."""
        return _unit(self._squares)

    @property
    def tied(self) -> bool:
        """Whether other choices among equal scores are taken into account."""
        return bool(self._of_ties)

    def perturb(self) -> None:
        """Take passes with changed last places into account."""
        squares = []
        for seed in range(_SAMPLES):
            with _perturbed(self._model.network, seed):
                squares.append(self._square(self._pass(), self.exact))
        mean = torch.stack(squares).mean(0)
        self._squares = torch.maximum(self._squares, (self._squares + _SAMPLES * mean) / (_SAMPLES + 1))
        self.perturbed = True

    def try_ties(self, seed: int) -> None:
        """Take a pass into account that chooses otherwise among equal scores, by chance."""
        rows = self._widely(partial(self._pass, Ties(seed)))
        if rows is not None:
            self._of_ties.append(self._square(rows, self.exact))

    @property
    def wide_enough(self) -> bool:
        """Whether the model's own format shows any fault of a lane: nothing but ties hides one."""
        return self._model.dtype.itemsize > 2

    def rerun_squares(self, decode: Decode) -> Tensor | None:
        """Measure a lane's last steps, run in the wider format, against `exact`: mean square at each, shape (steps,).

        None where they cannot be run so.
        """
        if self.format == self.reference:
            return None
        rows = self._rerun(decode, min(_RERUN, self.positions))
        return None if rows is None else self._square(rows.to(self.exact), self.exact)

    def _square(self, some: Tensor, others: Tensor) -> Tensor:
        """Return the mean square difference of two at each of the last positions of both; shape (positions,)."""
        n = min(len(some), len(others))
        top = self._top[-n:]
        return difference(some[-n:].gather(1, top), others[-n:].gather(1, top)).square().mean(1)

    @torch.inference_mode()
    def _pass(self, choice: Ties | None = None) -> Tensor:
        with choice or Ties() as ties:
            found = _logprobs(forward(self._model, self._ids[None], None, keep=self.positions)[0])
        self.ties |= ties.met
        return found

    def _reordered(self) -> Tensor:
        with _reversed_sums(self._model.network):
            return self._pass()

    def _rerun(self, decode: Decode, positions: int) -> Tensor | None:
        """Run a lane's last steps in the wider format, shape (positions, vocab): the text before them is its prompt."""
        ids = self._ids.tolist()
        start = len(ids) - positions + 1
        script = Script(ids[start:], self._ids.device)
        job = Job(self._model, Prompt("", special=False), lambda _: ids[:start], script, positions)

        def run() -> Tensor:
            with Ties():
                for _ in decode(job):
                    if len(script.seen) >= positions:
                        break
            return torch.stack(script.seen[:positions])

        return self._widely(run)

    def _wider(self) -> Tensor | None:
        return self._widely(self._pass)

    def _widely(self, run: Callable[[], Tensor]) -> Tensor | None:
        """Return what `run` gives while the model computes in the wider format; None where that cannot be done."""
        wider = WIDER.get(self._model.dtype)
        if wider is None:
            return None
        try:
            with _widened(self._model.network, wider), _one_expert_at_a_time(self._model.network), _all_bits():
                return run()
        except (RuntimeError, TypeError, ValueError, MemoryError) as error:  # its code insists on a format; no memory
            log.debug("no pass in %s: %s", dtype_name(wider), error)
            return None


def _unit(squares: Tensor) -> Tensor:
    return ((squares + squares.mean()) / 2).sqrt()


def difference(some: Tensor, others: Tensor) -> Tensor:
    """Return the difference; 0 for tokens that a model masks, whose log-probability is minus infinity in both."""
    return torch.where(some == others, 0, some - others)


def _logprobs(logits: Tensor) -> Tensor:
    found = logits.to(widest(logits.device)).log_softmax(-1)
    if not bool(torch.isfinite(found.max(-1).values).all()):
        raise BadInput("the model's logits are not finite numbers when the text is run again.")
    return found


@contextmanager
def _widened(network: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Compute in a wider format within it: each module's own weights are widened when it is entered."""
    held: dict[nn.Module, dict[str, nn.Parameter]] = {}

    def wide(given: object) -> object:
        return given.to(dtype) if isinstance(given, Tensor) and given.is_floating_point() else given

    def widen(module: nn.Module, args: tuple[object, ...]) -> tuple[object, ...]:
        held[module] = {
            name: weight
            for name, weight in module._parameters.items()
            if weight is not None and weight.is_floating_point()
        }
        for name, weight in held[module].items():
            module._parameters[name] = nn.Parameter(weight.detach().to(dtype), requires_grad=False)
        return tuple(map(wide, args))  # some code converts them to the format of a weight that is not widened yet

    def restore(module: nn.Module, _args: object = None, _output: object = None) -> None:
        module._parameters.update(held.pop(module, {}))

    hooks = []
    for module in network.modules():
        if any(True for _ in module.parameters(recurse=False)):
            hooks += [module.register_forward_pre_hook(widen), module.register_forward_hook(restore)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for module in list(held):
            restore(module)


@contextmanager
def _one_expert_at_a_time(network: PreTrainedModel) -> Iterator[None]:
    """Multiply by each expert on its own within it: torch's product of all chosen ones takes no float64."""
    before = network.get_experts_implementation()
    network.set_experts_implementation("eager")
    try:
        yield
    finally:
        network.set_experts_implementation(before)


@contextmanager
def _all_bits() -> Iterator[None]:
    """Compute float32 as float32 within it: no products and convolutions with the 10 bits of TF32."""
    products, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn
    torch.set_float32_matmul_precision("highest")
    try:
        with cudnn.flags(cudnn.enabled, cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(products)


@contextmanager
def _reversed_sums(network: nn.Module) -> Iterator[None]:
    """Add up the terms of each linear layer's sums from the last to the first within it."""

    def reverse(module: nn.Linear, args: tuple[Tensor, ...], _output: Tensor) -> Tensor:
        return functional.linear(args[0].flip(-1), module.weight.flip(-1), module.bias)

    # Not those derived from it: they may hold packed numbers, or weights of two names.
    hooks = [part.register_forward_hook(reverse) for part in network.modules() if type(part) is nn.Linear]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _perturbed(network: nn.Module, seed: int) -> Iterator[None]:
    """Change within it one in sixteen of the numbers that a module puts out, by up to a unit in its last place."""
    device = next(network.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)

    def perturb(_module: nn.Module, _args: object, output: object) -> object:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return output
        drawn = torch.rand(output.shape, generator=generator, device=output.device) / _SHARE
        by = torch.where(drawn < 1, 2 * drawn - 1, 0) * torch.finfo(output.dtype).eps
        wide = widest(output.device)
        return (output.to(wide) * (1 + by.to(wide))).to(output.dtype)

    leaves = [module for module in network.modules() if not any(True for _ in module.children())]
    hooks = [module.register_forward_hook(perturb) for module in leaves]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
