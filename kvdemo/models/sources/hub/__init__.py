"""Get models from the Hugging Face Hub, and keep those that visitors had downloaded in a cache with a quota."""
