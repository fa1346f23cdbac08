"""Say how a form fits the model that is held, and how long what it asks for may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kvdemo.core.errors import BadInput
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.settings.request import Request
from kvdemo.measure.duration_forecast import StepTimeModel, sentence, total
from kvdemo.server.device import DeviceLease

if TYPE_CHECKING:
    from kvdemo.server.limits import Limits


class Forecasts:
    """Predict runs from the model that `device` holds, and from its earlier steps: `costs`, by the model's id.

    `gpu_seconds` says how many a run asks for, where a GPU is lent by the second.
    """

    def __init__(
        self,
        device: DeviceLease,
        limits: Limits,
        costs: Callable[[str], StepTimeModel | None],
        gpu_seconds: Callable[[Request], int] | None,
    ) -> None:
        self._device, self._limits, self._costs, self._gpu_seconds = device, limits, costs, gpu_seconds

    def fit(self, form: Mapping[str, Any]) -> dict[str, Any] | None:
        """Say how a prompt fits the held model; None if that is another one, or the form is not filled in yet.

        Raises BadInput for a prompt that this model cannot read.
        """
        model = self._device.held
        try:
            request = RaceRequest.parse({key: form.get(key) for key in ("prompt", "chat", "model")})
            wanted = self._device.resolve(request.model or self._device.default_model)
        except BadInput:
            return None
        if model is None or model.id != wanted.id:
            return None
        self._limits.check_prompt(request.prompt)
        from kvdemo.race import check  # noqa: PLC0415 - torch is imported with a model

        fit = check.fit(model, model.prompt(request.prompt, chat=request.chat))
        most = self._limits.tokens if fit.max_new_tokens is None else min(fit.max_new_tokens, self._limits.tokens)
        return {**asdict(fit), "max_new_tokens": most}

    def estimate(self, form: Mapping[str, Any]) -> str:
        """Say in one sentence what a measurement has to do and how long it may take, or what is wrong with the form."""
        try:
            request = MeasureRequest.parse(form)
            self._device.check(request.race.model, fallback=request.preset == "classic")
            wanted = self._device.resolve(request.race.model or self._device.default_model).id
            fit = self.fit(form)
        except BadInput as error:
            return str(error)
        told = sentence(request, fit["prompt_tokens"] if fit else None, self._costs(wanted))
        return f"{told} It asks for {self._gpu_seconds(request):,} GPU seconds." if self._gpu_seconds else told

    def seconds(self, request: Request) -> float | None:
        """Predict the seconds that a run decodes, from earlier steps of the held model; None where that is unknown."""
        held = self._device.held
        if held is None or isinstance(request, InsideRequest):
            return None
        race = request.race if isinstance(request, MeasureRequest) else request
        costs = self._costs(held.id)
        fit = costs and self.fit({"prompt": race.prompt, "chat": race.chat, "model": race.model})
        return total(request, fit["prompt_tokens"], costs) if fit and costs else None
