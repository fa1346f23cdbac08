"""kvdemo races decoding strategies side by side and shows what each token cost.

The one idea: a decoding strategy is a generator that yields a `Step` whenever it has committed
tokens. Everything else is wrapped around that generator from outside:

    strategies/   what is decoded, and how          one file a strategy
    timing.py     what each step cost               one clock, read with the device synchronised
    race.py       whose turn it is                  fair turns, or all at once
    session.py    one request, from prompt to document
    ui/           the page; it draws events and knows nothing of models
"""

__version__ = "0.1.0"
