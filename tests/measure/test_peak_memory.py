from unittest import mock

import pytest
import torch

from kvdemo.measure.peak_memory import peak

CUDA = torch.device("cuda")


@pytest.fixture
def counter() -> mock.Mock:
    """What the allocator is asked, in order; its peak is 7 bytes."""
    asked = mock.Mock()
    asked.max_memory_allocated.return_value = 7
    with mock.patch.multiple(
        torch.cuda,
        reset_peak_memory_stats=asked.reset_peak_memory_stats,
        max_memory_allocated=asked.max_memory_allocated,
    ):
        yield asked


def test_on_a_gpu_the_allocators_peak_since_the_beginning_is_given(counter: mock.Mock) -> None:
    with peak(CUDA) as measured:
        counter.body()
        assert measured.bytes is None
    assert (measured.bytes, measured.note) == (7, None)
    assert counter.mock_calls == [
        mock.call.reset_peak_memory_stats(CUDA),
        mock.call.body(),
        mock.call.max_memory_allocated(CUDA),
    ]


def test_memory_kept_for_other_lanes_is_not_counted(counter: mock.Mock) -> None:
    with peak(CUDA, lambda: 5) as measured:
        counter.body()
    assert measured.bytes == 2


def test_a_failed_region_has_a_peak(counter: mock.Mock) -> None:
    with pytest.raises(RuntimeError), peak(CUDA) as measured:
        raise RuntimeError
    assert counter.max_memory_allocated.called
    assert measured.bytes == 7


def test_on_a_cpu_nothing_is_measured_and_that_is_stated(counter: mock.Mock) -> None:
    with peak(torch.device("cpu")) as measured:
        pass
    assert measured.bytes is None
    assert measured.note == "Peak memory is not measured on a CPU: the process shares it with the page."
    assert not counter.mock_calls
