"""Temperature: scores are divided by T before the softmax."""

from __future__ import annotations

from transformers import LogitsProcessor, TemperatureLogitsWarper

from kvdemo.core.settings.race import race_option
from kvdemo.samplers.base import Sampler


class Temperature(Sampler):
    """Divides every score by T: p_i is proportional to exp(z_i / T).

    Below 1 the likely tokens get likelier, above 1 all tokens come closer to each other; 0 takes the likeliest and
    draws nothing. It cuts no token: at a high temperature the many unlikely ones together are drawn often, and the
    text falls apart. So it is mostly used with a rule that cuts (top-p, min-p). From statistical physics; for networks
    Ackley, Hinton and Sejnowski 1985.
    """

    id = "temperature"
    name = "Temperature"
    summary = "Divides the scores: below 1 the likely tokens get likelier, above 1 the unlikely ones."
    place = 30

    temperature: float = race_option("temperature")

    def processor(self) -> LogitsProcessor:
        return TemperatureLogitsWarper(self.temperature)
