"""Define plain data and rules: steps, events, settings, metrics, numbers as text. No torch.

`system` has what asks something of the operating system.
"""
