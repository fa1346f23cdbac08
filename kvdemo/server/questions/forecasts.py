"""Say how a form fits the model that is held, and how long what it asks for may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from kvdemo.core.errors import BadInput, NotNow
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import COUNTED, RaceRequest
from kvdemo.core.settings.request import Request
from kvdemo.core.visitor import NOBODY, Visitor, one_visitors
from kvdemo.measure.duration_forecast import StepTimeModel, sentence, total
from kvdemo.server.device import DeviceLease
from kvdemo.server.questions.pace import Pace
from kvdemo.server.zerogpu import Terms, pass_seconds

if TYPE_CHECKING:
    from kvdemo.models.loaded import LoadedModel
    from kvdemo.server.limits import Limits

#: Bytes of UTF-8 beyond which a prompt takes more time to count than a question takes anyway. Time goes by bytes, and
#: by the script: of 200,000 characters, English takes a tenth of a second, emoji and Thai with marks 0.9 to 1.3 s.
LONG_BYTES = 2_000
COUNTED_LATER = "A long prompt is counted when that slows nobody's run: this line follows by itself."


class Forecasts:
    """Predict runs from the model that `device` holds, and from its earlier steps: `costs`, by the model's id.

    `lent` says on what terms a GPU is lent by the second; None where the device is the server's own. `busy` tells
    whether there are runs, beside whose steps a long prompt is counted later.
    """

    def __init__(
        self,
        device: DeviceLease,
        limits: Limits,
        costs: Callable[[str], StepTimeModel | None],
        lent: Terms | None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self._device, self._limits, self._costs, self._lent = device, limits, costs, lent
        self._pace = Pace(busy)
        self._operations: int | None = None

    def count_operations(self, model: LoadedModel) -> None:
        """Count what a pass of the model launches, for `pass_seconds`; nothing is computed."""
        from kvdemo.measure.roofline import kernel_launches  # noqa: PLC0415 - torch is imported with a model

        self._operations = kernel_launches.operations_of_pass(model.network.config, model.id)

    def fit(self, form: Mapping[str, Any], visitor: Visitor = NOBODY) -> dict[str, Any] | None:
        """Say how a prompt fits the held model; None if that is another one, or the form is not filled in yet.

        Raises BadInput for a prompt that this model cannot read, and NotNow for a long one whose turn has not come:
        nobody waits here.
        """
        if (asked := self._asked(form)) is None:
            return None
        request, model = asked
        if len(request.prompt.encode()) <= LONG_BYTES:
            return self._counted(request, model)
        with self._pace.taken(one_visitors(visitor.address), waits=False) as came:
            if not came:
                raise NotNow(COUNTED_LATER)
            return self._counted(request, model)

    def _asked(self, form: Mapping[str, Any]) -> tuple[RaceRequest, LoadedModel] | None:
        """Read what a prompt is counted by; None if the form is not filled in yet, or its model is not held."""
        model = self._device.held
        try:
            request = RaceRequest.parse({key: form.get(key) for key in COUNTED})
            wanted = self._device.resolve(request.model or self._device.default_model)
        except BadInput:
            return None
        if model is None or model.id != wanted.id:
            return None
        self._limits.check_texts(vars(request))
        return request, model

    def _counted(self, request: RaceRequest, model: LoadedModel) -> dict[str, Any]:
        """Count a request's prompt, and what the context leaves for new tokens."""
        from kvdemo.race import check  # noqa: PLC0415 - torch is imported with a model

        fit = check.fit(model, model.prompt(request.prompt, chat=request.chat))
        most = self._limits.tokens if fit.max_new_tokens is None else min(fit.max_new_tokens, self._limits.tokens)
        return {**asdict(fit), "max_new_tokens": most}

    def estimate(self, form: Mapping[str, Any], visitor: Visitor = NOBODY) -> str:
        """Say in one sentence what a measurement has to do and how long it may take, or what is wrong with the form.

        Raises NotNow as `fit` does.
        """
        try:
            request = MeasureRequest.parse(form)
            self._device.check(request.race.model, fallback=request.preset == "classic")
            wanted = self._device.resolve(request.race.model or self._device.default_model).id
            fit = self.fit(form, visitor)
        except NotNow:
            raise
        except BadInput as error:
            return str(error)
        told = sentence(request, fit["prompt_tokens"] if fit else None, self._costs(wanted))
        return f"{told} {self._lent.sentence(request)}" if self._lent else told

    def gpu_cost(self, form: Mapping[str, Any]) -> str | None:
        """Say in one sentence how many GPU seconds a race asks for; None where the device is the server's own."""
        if self._lent is None:
            return None
        try:
            return self._lent.sentence(RaceRequest.parse(form))
        except BadInput:
            return ""  # the race says what is wrong

    def panel_gpu_cost(self, form: Mapping[str, Any]) -> str | None:
        """Say in one sentence how many GPU seconds a panel of Inside asks for; None where `gpu_cost` is None."""
        if self._lent is None:
            return None
        try:
            request = InsideRequest.parse(form)
        except BadInput:
            return ""  # the panel says what is wrong
        # The page asks for one panel at a time, and any of them for as many seconds.
        return self._lent.sentence(replace(request, panels=request.panels[:1]), "Each panel that comes into view")

    def pass_seconds(self, gpu: str) -> float | None:
        """Predict a forward pass of the held model on a GPU of this name before any has run; None where unknown."""
        if (held := self._device.held) is None:
            return None
        weight_bytes = sum(weight.nbytes for weight in held.network.parameters())
        return pass_seconds(self._operations, weight_bytes, gpu)

    def seconds(self, request: Request) -> float | None:
        """Predict the seconds that a run decodes, from earlier steps of the held model; None where that is unknown."""
        held = self._device.held
        if held is None or isinstance(request, InsideRequest):
            return None
        race = request.race if isinstance(request, MeasureRequest) else request
        costs = self._costs(held.id)
        asked = costs and self._asked({"prompt": race.prompt, "chat": race.chat, "model": race.model})
        fit = asked and self._counted(*asked)  # at once: the run is about to count it too
        return total(request, fit["prompt_tokens"], costs) if fit and costs else None
