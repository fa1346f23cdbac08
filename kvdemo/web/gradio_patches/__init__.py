"""Change what Gradio does by itself to a page that it serves.

Each file changes one thing:

    without_stubs     importing Gradio writes no type stubs
    quiet             the server sleeps while there is nothing to do
    light_sessions    a session begins without a description of the page
    kept_answers      answers are kept for all who listen, and for few others
    unknown_sessions  an event of a session that is not known does not end the queue of all
    shared_queue      one visitor's events leave room in the queue for others, and take turns with them
    guarded_blocks    an event that cannot be read, or that fails, is answered with a sentence
    own_origin        no page of another website may read an answer
    kept_page         the page and its descriptions for programs are made once, and the page names its icon
"""
