"""Change what Gradio does to a page that it serves: at its import, and while nothing happens."""
