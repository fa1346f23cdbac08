"""Keep keys and values as transformers does not: with sinks and a window, for the next prompt, in a file."""
