"""Convert text to ids and back: chat templates, streamed text, the bytes of a token."""
