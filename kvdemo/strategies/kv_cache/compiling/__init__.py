"""Compile a decoding step for a model, and keep the compiled code. The strategy is `compiled_cache`."""
