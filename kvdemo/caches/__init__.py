"""KV caches beyond transformers' own: with a window, kept for the next prompt, counted in bytes."""
