"""Race decoding strategies side by side and show what each token costs.

The one idea: a decoding strategy is a generator that yields a `Step` whenever it has committed tokens. Everything else
is wrapped around that generator from outside. From the ground up, each package imports only those before it:

    core/         steps, events, settings, metrics: plain data, no torch
    documents/    what stands in the documents that are written, as types; their JSON Schemas
    costs/        cache bytes, operations and floors by formula; what fits on a machine
    models/       find, load and ask a model: text, facts, files
    caches/       KV caches beyond transformers' own
    strategies/   how tokens are computed, one file a strategy
    engine/       clock, turns and history of the lanes
    race/         one race, from prompt to document; why two texts part
    measure/      the race's steps again, as an instrument
    compare/      two documents side by side
    server/       one model and many visitors
    cli/, web/    the command line and the page
"""

from kvdemo.core.system.temporary import have_folder

__version__ = "0.1.0"

have_folder()  # before a library is imported that asks for it
