"""A real Chromium on the real app: what a visitor does, and what a visitor must never see."""

from kvdemo.web.gradio_patches.without_stubs import import_gradio

import_gradio()  # before a test does, without its type stubs: they take half of the time
