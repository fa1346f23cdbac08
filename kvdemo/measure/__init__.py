"""Measure strategies: the race's steps again, repeated, with statistics and floors.

A race shows what happened once. A measurement says what a device does, with how much scatter, and how far that
lies from what the device could do. Both run the same strategies under the same clock.

The physics. Generating text has two phases with opposite limits:

- **Prefill** runs the whole prompt through the model at once. Every weight that is read from memory is used for
  every position, so that the arithmetic is the limit: prefill is *compute-bound*, its time grows with the number
  of positions, and TTFT is its measure.
- **Decode** runs one new position a step. Every weight, and every cached key and value, is read for a single
  position, so that reading is the limit: decode is *bandwidth-bound*, and no step can be faster than
  (weight bytes + cache bytes) / memory bandwidth. TPOT is its measure.

Without a cache every step is a prefill of the whole text so far. Small models on fast devices reach neither limit:
there the time goes into *launching* the kernels, whatever they compute, and a cache saves work but no time.

How repeats are taken:

- Each lane first runs at full length, unmeasured: memory, clock rates, thread pools and compiled kernels settle.
- Lanes take turns within a repeat, in an order that alternates from one repeat to the next, so that a device that
  slowly warms up or slows down does so for all lanes alike. Each lane has the device to itself.
- The device is synchronised before each reading of the clock, and the timed region holds one step and nothing else.
- Every lane writes the same number of tokens, end-of-text tokens ignored: else the times compare different work.
- A figure is the mean over the repeats, with n and the sample standard deviation beside it. Whether two lanes
  differ is a question to an interval, not to two means (`kvdemo.core.figures.statistics`).
"""
