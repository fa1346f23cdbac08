"""Define what a server can be asked to run: a race, a measurement, or panels of Inside."""

from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.measure import MeasureRequest
from kvdemo.core.settings.race import RaceRequest

Request = RaceRequest | MeasureRequest | InsideRequest
