from kvdemo.web.gradio_patches.without_stubs import import_gradio

import_gradio()  # before a test does, without its type stubs: they take half of the time
