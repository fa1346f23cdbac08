import threading
from collections.abc import Callable

import pytest
import torch

from kvdemo.core.errors import BadInput
from kvdemo.measure.roofline import device_peaks
from kvdemo.measure.roofline.device_peaks import DevicePeaks, measure_peaks
from kvdemo.models import memory

CPU = torch.device("cpu")


class Time:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def bench(clock: Callable[[], float]) -> device_peaks.Bench:
    return device_peaks.Bench(CPU, threading.Event(), clock)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes and repeats that take no time."""
    for name, value in {"CPU_BUFFER": 2**20, "MOST_CPU_BUFFER": 2**20, "LEAST_BUFFER": 2**18}.items():
        monkeypatch.setattr(device_peaks, name, value)
    for name, value in {"WARMUP_S": 0.001, "READING_S": 0.001, "BUSY_S": 0.0}.items():
        monkeypatch.setattr(device_peaks, name, value)


@pytest.fixture
def one_second_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call that is measured takes one second, so that a rate is a count."""

    def seconds(_: device_peaks.Bench, work: Callable[[], object]) -> float:
        work()
        return 1.0

    monkeypatch.setattr(device_peaks.Bench, "seconds", seconds)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_limit_of_this_machine_is_a_positive_number(dtype: torch.dtype) -> None:
    found = measure_peaks(CPU, dtype, threading.Event())
    assert found is not None
    assert (found.dtype, found.device) == (str(dtype).removeprefix("torch."), "cpu")
    for figure in (found.copy_bytes_per_s, found.matvec_bytes_per_s, found.matmul_flops_per_s, found.launch_s):
        assert 0 < figure < float("inf")


@pytest.mark.parametrize(("copy", "matvec"), [(3.0, 2.0), (2.0, 3.0)])
def test_the_bandwidth_is_the_larger_of_the_two(copy: float, matvec: float) -> None:
    assert DevicePeaks(copy, matvec, 1.0, 1.0, "float32", "cpu").bandwidth == 3.0


@pytest.mark.slow
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_read_bandwidth_and_one_row_products_are_measured_on_a_cpu(dtype: torch.dtype) -> None:
    found = measure_peaks(CPU, dtype, threading.Event(), {(48, 32): 2, (32, 48): 1})
    assert found is not None
    assert found.bandwidth >= found.read_bytes_per_s > 0
    assert found.eager_bytes_per_s > 0
    assert found.packed_bytes_per_s >= 0  # 0 where the processor packs no such numbers
    without = measure_peaks(CPU, dtype, threading.Event())
    assert without is not None
    assert (without.eager_bytes_per_s, without.packed_bytes_per_s) == (0, 0)


@pytest.mark.usefixtures("one_second_a_call")
def test_a_sum_counts_the_bytes_that_it_reads() -> None:
    assert device_peaks.read_bandwidth(bench(Time()), 2**20) == 2**20


@pytest.mark.usefixtures("one_second_a_call")
def test_a_copy_counts_the_bytes_that_it_reads_and_writes() -> None:
    assert device_peaks.copy_bandwidth(bench(Time()), torch.bfloat16, 2**20) == 2 * 2**20


@pytest.mark.usefixtures("one_second_a_call")
def test_a_matrix_vector_product_counts_its_weights_once() -> None:
    assert device_peaks.matvec_bandwidth(bench(Time()), torch.float32, 2**20) == 2**20


@pytest.mark.usefixtures("one_second_a_call")
@pytest.mark.parametrize(("busy", "side"), [(0.0, 256), (float("inf"), 512)])
def test_a_matrix_product_counts_2_n_cubed_operations(monkeypatch: pytest.MonkeyPatch, busy: float, side: int) -> None:
    monkeypatch.setattr(device_peaks, "BUSY_S", busy)  # from the first size on, or never: then the largest that fits
    assert device_peaks.matmul_flops(bench(Time()), torch.float32, 3 * 512 * 512 * 4 // 2) == 2 * side**3


def test_a_reading_is_the_median_of_single_calls_without_the_warm_up() -> None:
    time, calls = Time(), []

    def work() -> None:
        calls.append(1)
        time.now += 50.0 if len(calls) == 1 else 0.0005 if len(calls) % 50 else 9.0  # cold, usual, disturbed

    assert bench(time).seconds(work) < 1.0
    assert len(calls) > device_peaks.REPEATS


def test_short_calls_are_timed_many_at_a_time_and_long_ones_singly() -> None:
    for cost, calls in ((device_peaks.READING_S / 100, 100), (device_peaks.READING_S * 100, 1)):
        time, readings = Time(), []

        def work(cost: float = cost, time: Time = time) -> None:
            time.now += cost

        measured = bench(time)
        read = measured.reading
        object.__setattr__(measured, "reading", lambda w, n, read=read, r=readings: r.append(n) or read(w, n))
        assert measured.seconds(work) == pytest.approx(cost)
        assert readings[-device_peaks.REPEATS :] == [pytest.approx(calls, abs=1)] * device_peaks.REPEATS


@pytest.mark.usefixtures("small")
def test_a_stopped_measurement_returns_none() -> None:
    stop = threading.Event()
    stop.set()
    assert measure_peaks(CPU, torch.float32, stop) is None


@pytest.mark.usefixtures("small")
def test_stop_is_checked_between_two_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    stop, done = threading.Event(), []
    really = device_peaks.Bench.reading

    def reading(self: device_peaks.Bench, work: Callable[[], object], calls: int) -> float:
        seconds = really(self, work, calls)
        done.append(calls)
        if len(done) == 3:
            stop.set()
        return seconds

    monkeypatch.setattr(device_peaks.Bench, "reading", reading)
    assert measure_peaks(CPU, torch.float32, stop) is None
    assert len(done) == 3


def refusing(above: int, tried: list[int]) -> Callable[[device_peaks.Bench, torch.dtype, int], float]:
    """A copy that runs out of memory with buffers larger than `above` bytes."""

    def copy(_bench: device_peaks.Bench, _dtype: torch.dtype, size: int) -> float:
        tried.append(size)
        if size > above:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.")
        return 1.0

    return copy


@pytest.mark.usefixtures("small")
def test_without_memory_for_large_buffers_smaller_ones_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    monkeypatch.setattr(device_peaks, "copy_bandwidth", refusing(2**19, tried))
    assert measure_peaks(CPU, torch.float32, threading.Event()) is not None
    assert tried == [2**20, 2**19]


@pytest.mark.usefixtures("small")
def test_without_memory_for_any_buffer_the_reason_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    monkeypatch.setattr(device_peaks, "copy_bandwidth", refusing(0, tried))
    with pytest.raises(BadInput, match="choose a smaller model"):
        measure_peaks(CPU, torch.float32, threading.Event())
    assert tried == [2**20, 2**19, 2**18]


@pytest.mark.usefixtures("small")
def test_any_other_failure_is_not_taken_for_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> float:
        raise RuntimeError("expected scalar type Float but found Half")

    monkeypatch.setattr(device_peaks, "copy_bandwidth", broken)
    with pytest.raises(RuntimeError, match="expected scalar type"):
        measure_peaks(CPU, torch.float32, threading.Event())


def test_buffers_are_larger_than_the_cpu_cache_and_much_smaller_than_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "main_memory", lambda: 2**40)
    monkeypatch.setattr(device_peaks, "last_cache_bytes", lambda: 200 * 2**20)
    assert device_peaks.buffer_bytes(CPU) == 400 * 2**20
    monkeypatch.setattr(device_peaks, "last_cache_bytes", lambda: 0)
    assert device_peaks.buffer_bytes(CPU) == device_peaks.CPU_BUFFER
    monkeypatch.setattr(memory, "main_memory", lambda: 2**30)
    assert device_peaks.buffer_bytes(CPU) == 2**26
    monkeypatch.setattr(memory, "main_memory", lambda: None)
    assert device_peaks.buffer_bytes(CPU) == device_peaks.CPU_BUFFER


@pytest.mark.parametrize(("free", "expected"), [(100 * 2**30, 2**30), (2 * 2**30, 2**29)])
def test_on_a_gpu_two_buffers_take_at_most_half_of_the_free_memory(
    monkeypatch: pytest.MonkeyPatch, free: int, expected: int
) -> None:
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 141 * 2**30))
    assert device_peaks.buffer_bytes(torch.device("cuda")) == expected


def test_the_cache_that_linux_states_is_read() -> None:
    assert 0 <= device_peaks.last_cache_bytes() < 2**32
