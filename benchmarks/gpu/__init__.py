"""Check every claim about a GPU."""
