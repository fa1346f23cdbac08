"""What the page asks of the engine. `app.py` builds one of these; a test builds another.

A form is a mapping of raw values, straight from the browser, a link or the API: `prompt`, `model`,
`max_new_tokens`, `strategies` (the lanes, the first of which is the baseline: a list of specs, or one text with commas
between them; a spec is the id of a strategy, and its settings where they are not at their defaults), `schedule`,
`chat`, `temperature`, `top_p`, `seed`, `ignore_eos`. The page does not check them. Whoever runs the race does, once,
for everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kvdemo.core.events import RaceEvent

Form = Mapping[str, Any]


@dataclass(frozen=True)
class Backend:
    """The engine as the page sees it.

    race          (form, run_id, page) -> batches of events, about ten a second, none of them empty. Raises `BadInput`,
                  at once or while iterated. Closing the iterator abandons the race. `page` is the session of the page
                  that asks, which nobody else's races share anything with; "" for a program.
    stop          (run_id) -> None. Ends that race within one step; the iterator of `race` then runs to its natural
                  end, with "stopped" lanes, verdict and document. An id that is not running is ignored.
    forget        (page) -> None. The page is closed: nothing that its races kept is needed any more.
    models        the catalogue: id, label, parameters, context_length, chat, gated, note
    strategies    the lanes on offer: id, name, summary, description, lossless, options, available, reason; the last two
                  are about the model that is loaded, and `options` has each setting by name: default, label, about,
                  low, high, choices
    default_form  the form as it stands before anybody touches it
    status        {"state": "loading" | "ready" | "failed", "text", "fraction": float | None, "model": facts | None};
                  cheap, since every open page polls it while the first model loads
    fit           (form) -> {"prompt_tokens", "context_length", "max_new_tokens"}, or None while that is not known
    document_csv  (document) -> the race document as CSV

    measure       (form, run_id) -> states of a measurement: {"text", "fraction", "remaining_s", "document"}. The last
                  one has the final document. Raises `BadInput`; closing the iterator ends the run, and what was done
                  is kept. `stop` ends it as it ends a race.
    measured      (run_id) -> the document of a measurement that is running or was kept, or None
    presets       ways to fill the measuring form: {"id", "label", "why", "form"}; the first is the default
    estimate      (form) -> one sentence on how much a measurement has to decode, and how long that may take
    measure_csv, measure_markdown    (document) -> the measurement as text
    compare       (text of A, text of B) -> what two JSON documents say of each other; raises `BadInput`
    plan          (form) -> what a configuration needs of a machine; raises `BadInput`
    """

    race: Callable[[Form, str, str], Iterator[list[RaceEvent]]]
    stop: Callable[[str], None]
    forget: Callable[[str], None]
    models: Callable[[], list[dict[str, Any]]]
    strategies: Callable[[], list[dict[str, Any]]]
    default_form: Callable[[], dict[str, Any]]
    status: Callable[[], dict[str, Any]]
    fit: Callable[[Form], dict[str, Any] | None]
    document_csv: Callable[[Mapping[str, Any]], str]
    measure: Callable[[Form, str], Iterator[dict[str, Any]]]
    measured: Callable[[str], dict[str, Any] | None]
    presets: Callable[[], list[dict[str, Any]]]
    estimate: Callable[[Form], str]
    measure_csv: Callable[[Mapping[str, Any]], str]
    measure_markdown: Callable[[Mapping[str, Any]], str]
    compare: Callable[[str, str], dict[str, Any]]
    plan: Callable[[Form], dict[str, Any]]
