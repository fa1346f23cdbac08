"""Compute a panel each: `show` takes a Subject and returns the panel's entry of the document."""
