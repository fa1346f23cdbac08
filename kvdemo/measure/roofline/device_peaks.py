"""Measure a device's peaks: bandwidth, matrix throughput, launch time. No decoding step is faster than they allow.

A step of a language model is limited by one of three things. Reading: each weight is read once a step, so a step takes
at least (bytes read) / (memory bandwidth). Computing: (floating-point operations) / (matrix throughput). Launching: the
host launches one operation after another, and each launch takes it some microseconds however small the operation is. A
data sheet states the first two for the best case and the third not at all. So all are measured, on this device and in
the model's number format, in a second or two.

Bandwidth is measured in two ways, because neither is the limit in every case. A copy reads and writes, which some
memories do slower than reading. A matrix-vector product reads only, but on some processors its arithmetic is slow (a
16-bit format without units for it). On a CPU a sum over a buffer is a third way. The largest figure is what the memory
has delivered. Where a math library stays far below it, the library is the limit of a decoding step, so it is measured
on the model's own matrices.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from kvdemo.core.cancellation import CancelToken
from kvdemo.core.errors import BadInput
from kvdemo.engine.timer import Clock
from kvdemo.measure.roofline import one_row_products
from kvdemo.models import memory
from kvdemo.models.device import dtype_name, synchronize
from kvdemo.models.errors import out_of_memory

_MIB = 2**20
# Buffers have to be larger than the last cache before the memory, or it is the cache that is measured.
_GPU_BUFFER, CPU_BUFFER, MOST_CPU_BUFFER, LEAST_BUFFER = 1024 * _MIB, 256 * _MIB, 512 * _MIB, 64 * _MIB
_COLUMNS = 4096  # of the matrix-vector product: as wide as the layers of a 7B model
_LARGEST_SIDE = 8192  # of a square matrix: enough to keep the largest GPU busy
REPEATS = 7
WARMUP_S = 0.1  # a GPU raises its clocks during it
READING_S = 0.01  # one reading holds as many calls as take this long: the clock and the waiting for it cost nothing
BUSY_S = 0.02  # a matrix product that takes this long is large enough


@dataclass(frozen=True)
class DevicePeaks:
    """A device's measured ceilings; each figure is the median of seven readings.

    copy_bytes_per_s    memory bandwidth of a copy, in bytes read plus bytes written
    matvec_bytes_per_s  memory bandwidth of a matrix-vector product, in bytes of the matrix: what decoding does
    matmul_flops_per_s  matrix throughput, 2·n³ operations for a product of two n×n matrices: what a prefill does
    launch_s            seconds that the host needs to launch one operation, eagerly, from Python. A floor: the same
                        call again and again. What model code does between its operations (module calls, views,
                        shapes) comes on top: with transformers' GPT-2 and Llama several times as much
    dtype, device       the number format and the device that all of this holds for

    Of a CPU also, and 0 where they were not measured:

    read_bytes_per_s    memory bandwidth of reading alone: a sum over a buffer
    eager_bytes_per_s   weights that the math library reads in this model's own one-row products (`one_row_products`)
    packed_bytes_per_s  the same with the weights packed beforehand, as the compiled lane has them
    """

    copy_bytes_per_s: float
    matvec_bytes_per_s: float
    matmul_flops_per_s: float
    launch_s: float
    dtype: str
    device: str
    read_bytes_per_s: float = 0.0
    eager_bytes_per_s: float = 0.0
    packed_bytes_per_s: float = 0.0

    @property
    def bandwidth(self) -> float:
        """Bytes a second that the memory has really delivered: the largest of the figures."""
        return max(self.copy_bytes_per_s, self.matvec_bytes_per_s, self.read_bytes_per_s)


def measure_peaks(
    device: torch.device,
    dtype: torch.dtype,
    stop: CancelToken,
    layers: Mapping[one_row_products.Shape, int] | None = None,
) -> DevicePeaks | None:
    """Measure the peaks of a device for one number format, in one to three seconds; None if stopped before the end.

    On a CPU, with a model's `layers` (`one_row.matrices`), also what its math library reaches on them: a second for
    each shape. The caller has the device to itself. Raises BadInput when there is no memory left for buffers that are
    larger than a cache.
    """
    size = buffer_bytes(device)
    try:
        while True:
            limits = _measure(Bench(device, stop), dtype, size, layers or {})
            if limits is not None:
                return limits
            if size // 2 < LEAST_BUFFER:
                raise BadInput("No memory is left to measure the device in: choose a smaller model.")
            size //= 2
    except _Stopped:
        return None
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()


class _Stopped(Exception):
    """The stop signal was raised."""


@dataclass(frozen=True)
class Bench:
    """Times calls on one device, from a synchronised device to a synchronised device."""

    device: torch.device
    stop: CancelToken
    clock: Clock = time.perf_counter

    def seconds(self, work: Callable[[], object]) -> float:
        """Return the median seconds of one call, warmed up."""
        spent, once = 0.0, math.inf
        while spent < WARMUP_S:
            reading = self.reading(work, 1)
            spent, once = spent + reading, min(once, reading)
        calls = max(1, math.ceil(READING_S / once))
        return statistics.median(self.reading(work, calls) / calls for _ in range(REPEATS))

    def once(self, work: Callable[[], object]) -> float:
        """Return the seconds of the second call: the first one pays for what no other does."""
        self.reading(work, 1)
        return self.reading(work, 1)

    def reading(self, work: Callable[[], object], calls: int) -> float:
        if self.stop.is_set():
            raise _Stopped
        synchronize(self.device)
        start = self.clock()
        for _ in range(calls):
            work()
        synchronize(self.device)
        return self.clock() - start


@torch.inference_mode()
def _measure(
    bench: Bench, dtype: torch.dtype, size: int, layers: Mapping[one_row_products.Shape, int]
) -> DevicePeaks | None:
    """Measure the limits, with buffers of `size` bytes; None where the memory does not hold them."""
    on_cpu = bench.device.type == "cpu"
    try:
        return DevicePeaks(
            copy_bytes_per_s=copy_bandwidth(bench, dtype, size),
            matvec_bytes_per_s=matvec_bandwidth(bench, dtype, size),
            matmul_flops_per_s=matmul_flops(bench, dtype, size),
            launch_s=_launch(bench, dtype),
            dtype=dtype_name(dtype),
            device=str(bench.device),
            read_bytes_per_s=read_bandwidth(bench, size) if on_cpu else 0.0,
            eager_bytes_per_s=one_row_products.bytes_per_s(bench, dtype, size, layers, one_row_products.eager)
            if on_cpu
            else 0.0,
            packed_bytes_per_s=_packed(bench, dtype, size, layers) if on_cpu else 0.0,
        )
    except (RuntimeError, MemoryError) as error:
        if out_of_memory(error):
            return None
        raise


def copy_bandwidth(bench: Bench, dtype: torch.dtype, size: int) -> float:
    """Measure a copy from one buffer to another: bytes a second, read and written."""
    # Written to beforehand: memory that was never written to is one page of zeros, read from the cache.
    source = torch.ones(size // dtype.itemsize, dtype=dtype, device=bench.device)
    target = torch.ones_like(source)
    return 2 * source.nbytes / bench.seconds(lambda: target.copy_(source))


def read_bandwidth(bench: Bench, size: int) -> float:
    """Measure a sum over a buffer: bytes a second. Nothing is written, and adding is quicker than the memory."""
    source = torch.ones(size // 4, device=bench.device)
    return source.nbytes / bench.seconds(source.sum)


def _packed(bench: Bench, dtype: torch.dtype, size: int, layers: Mapping[one_row_products.Shape, int]) -> float:
    """Measure the weights read a second in packed one-row products; 0 where this processor packs no such numbers."""
    try:
        return one_row_products.bytes_per_s(bench, dtype, size, layers, one_row_products.packed)
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        return 0.0


def matvec_bandwidth(bench: Bench, dtype: torch.dtype, size: int) -> float:
    """Measure the product of one row with a matrix, as a layer does it when decoding: bytes of weights a second."""
    row = torch.randn(1, _COLUMNS, dtype=dtype, device=bench.device)
    weight = row.repeat(size // row.nbytes, 1)
    return weight.nbytes / bench.seconds(lambda: functional.linear(row, weight))


def matmul_flops(bench: Bench, dtype: torch.dtype, size: int) -> float:
    """Measure a square matrix product, its sides doubled until the device is busy: operations a second."""
    largest = min(_LARGEST_SIDE, math.isqrt(2 * size // (3 * dtype.itemsize)))
    side = 256
    while True:
        # Random numbers: a GPU draws less power, and so runs faster, on a matrix of equal ones.
        left, right = torch.randn(2, side, side, dtype=dtype, device=bench.device)

        def product(left: torch.Tensor = left, right: torch.Tensor = right) -> torch.Tensor:
            return functional.linear(left, right)

        if 2 * side > largest or bench.once(product) >= BUSY_S:
            return 2 * side**3 / bench.seconds(product)
        side *= 2


def _launch(bench: Bench, dtype: torch.dtype) -> float:
    """Time one tiny operation in a long chain of them, synchronised only at its two ends."""
    tiny = torch.zeros(1, dtype=dtype, device=bench.device)
    return bench.seconds(lambda: tiny + tiny)


def buffer_bytes(device: torch.device) -> int:
    """Choose the bytes of one buffer: larger than a cache, and two of them no more than half of what is free."""
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what the allocator keeps in reserve counts as taken otherwise
        return min(_GPU_BUFFER, torch.cuda.mem_get_info(device)[0] // 4)
    wanted = min(max(CPU_BUFFER, 2 * last_cache_bytes()), MOST_CPU_BUFFER)
    return min(wanted, (memory.main_memory() or wanted * 16) // 16)


def last_cache_bytes() -> int:
    """Return the bytes of the processor's largest cache as Linux states them; 0 where the system does not say."""
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    said = [path.read_text(encoding="ascii").strip() for path in sizes]
    return max((int(text[:-1]) * 1024 for text in said if text.endswith("K")), default=0)
