"""Change what Gradio does by itself, each file one thing.

without_stubs    its import writes no type stubs
quiet            its server sleeps while there is nothing to do
steady           one visitor's event does not end the queue of all
guarded_blocks   an event that cannot be read, or fails, is answered with a sentence
icon             the page names its icon as it is sent
"""
