"""Models: which there are (`catalog`), where they come from (`sources`), how they are loaded and held."""
