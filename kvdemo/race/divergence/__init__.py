"""Explain why two lanes that should write the same text do not, and prove it on the model.

`reasons` finds the kind and writes the sentence. Where rounding may be the reason, `run_again` has the model read the
text again when the race is over: `rounding` measures what it does there, and `proof` holds the lanes to it.
"""
