"""Measure what the project promises about speed, as ratios within one run: `python -m benchmarks`.

Absolute times say something about the machine; a ratio of two things measured in turn, in one process and on one
model, says something about the code. Each file measures one thing and first says what its limit is.
"""

from kvdemo.engine import openmp

openmp.limit_spinning()  # as the app does, before anything here imports torch
