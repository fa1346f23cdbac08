import gc
import threading
import warnings
import weakref
from collections.abc import Iterator
from itertools import islice
from unittest import mock

import pytest
import torch

from kvdemo.core.errors import BadInput
from kvdemo.core.types import Step, TimedStep
from kvdemo.models import memory
from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.kv_cache.compiled_cache import CompiledCached
from kvdemo.strategies.kv_cache.compiling import compiled_run, compiled_step
from kvdemo.strategies.kv_cache.static_cache import StaticCached
from tests.strategies.conftest import WORDS, generated, job_of, steps_of, tokens_of, word_tokenizer
from tests.strategies.layered import SLIDING, STATES, model_of
from tests.tiny_models import loaded, tiny_llama_network

pytestmark = pytest.mark.slow  # most of these compile


def fresh() -> LoadedModel:
    return loaded("tiny-llama", tiny_llama_network(WORDS), word_tokenizer())


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    torch.compiler.reset()  # code of another model of this shape would be found compiled
    made = fresh()
    if reason := CompiledCached().unavailable_reason(made):
        pytest.skip(reason)
    return made


def compilations() -> int:
    from torch._dynamo.utils import counters  # noqa: PLC0415 - slow to import

    return int(counters["stats"]["unique_graphs"])


def test_compilation_happens_once_before_the_first_step_for_any_length(model: LoadedModel) -> None:
    told: list[str] = []
    steps = CompiledCached().decode(job_of(model, "w3 w4 w5", tokens=40, tell=told.append))
    compiled = compilations()
    assert compiled == 1
    assert told == ["compiling the decoding step, once for this model"]
    first, *later = islice(steps, 40)
    assert first.details["compile_seconds"] > 0
    for text, tokens in (("w3 w4", 100), ("w3 w4", 300), ("w5", 1)):
        again = list(islice(CompiledCached().decode(job_of(model, text, tokens=tokens, tell=told.append)), tokens))
        assert [step.tokens[0] for step in again] == generated(model, text, tokens)
        later += again
    assert compilations() == compiled
    assert len(told) == 1
    assert {step.details["compiled_in_this_step"] for step in [first, *later]} == {0}
    assert {step.details["compile_seconds"] for step in later} == {first.details["compile_seconds"]}


def test_room_is_reserved_up_to_the_next_multiple_of_64(model: LoadedModel) -> None:
    step = next(steps_of(CompiledCached(), model, "w3 w4 w5", tokens=100))
    assert step.details["bytes_reserved"] == step.details["bytes_used"] * 128 // 3


def test_a_sampled_lane_draws_what_an_uncompiled_one_draws(model: LoadedModel) -> None:
    settings = {"tokens": 30, "temperature": 1.3, "seed": 5}
    lanes = [islice(steps_of(kind(), model, "w3 w4 w5", **settings), 30) for kind in (CompiledCached, StaticCached)]
    ours, theirs = ([step.tokens for step in lane] for lane in lanes)
    assert ours == theirs


def test_an_ended_lane_passes_its_buffers_on_and_parallel_lanes_have_their_own(model: LoadedModel) -> None:
    def lane() -> Iterator[Step]:
        return steps_of(CompiledCached(), model, "w3 w4 w5", tokens=20)

    first, second = lane(), lane()
    runs = list(compiled_step.compiled_for(model).runs)
    assert [run.idle for run in runs] == [False, False]
    assert compiled_step.idle_bytes(model) == 0
    assert next(first).tokens == next(second).tokens
    del first
    assert [run.idle for run in runs] == [True, False]
    assert compiled_step.idle_bytes(model) == runs[0].bytes > 0
    third = lane()
    assert compiled_step.compiled_for(model).runs == runs
    assert runs[0].idle is False
    del second, third


def test_packing_does_not_change_the_models_weights(model: LoadedModel) -> None:
    assert compiled_step.compiled_for(model).pack
    before = {name: (p.data_ptr(), p.clone()) for name, p in model.network.named_parameters()}
    first = next(steps_of(CompiledCached(), model, "w3 w4", tokens=5))
    assert first.details["packed_bytes"] == compiled_step.linear_bytes(model) > 0
    assert not torch._inductor.config.freezing
    for name, parameter in model.network.named_parameters():
        assert parameter.data_ptr() == before[name][0]
        assert torch.equal(parameter, before[name][1])


def test_interleaved_lanes_and_threads_do_not_share_a_cache(model: LoadedModel) -> None:
    texts = ["w3 w4 w5", "w9 w8 w7 w6"]
    expected = [generated(model, text, 30) for text in texts]
    lanes = [steps_of(CompiledCached(), model, text, tokens=30) for text in texts]
    got: list[list[int]] = [[], []]
    for turn in range(20):
        got[turn % 2] += next(lanes[turn % 2]).tokens

    def finish() -> None:
        for n, lane in enumerate(lanes):
            got[n] += [step.tokens[0] for step in islice(lane, 20)]

    before = compilations()
    thread = threading.Thread(target=finish)
    thread.start()
    thread.join()
    assert got == expected
    assert compilations() == before


def test_compiled_code_is_freed_with_its_model(model: LoadedModel) -> None:  # noqa: ARG001 - skips where nothing compiles
    other = fresh()
    tokens_of(CompiledCached(), other, "w3", 3)
    network = weakref.ref(other.network)
    del other
    gc.collect()
    assert network() is None


def test_freeing_a_model_keeps_the_compiled_code_of_others(model: LoadedModel) -> None:
    tokens_of(CompiledCached(), model, "w3 w4", 5)
    other = fresh()
    tokens_of(CompiledCached(), other, "w3", 3)
    del other
    gc.collect()
    before = compilations()
    assert tokens_of(CompiledCached(), model, "w3 w4", 20) == generated(model, "w3 w4", 20)
    assert compilations() == before


@pytest.fixture
def quickly_compiled(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Compile with a backend that makes no C++; the options of each torch.compile."""
    asked: list[dict[str, object]] = []
    really = torch.compile

    def compile_(step: object, *, options: dict[str, object], fullgraph: bool) -> object:
        asked.append(options)
        return really(step, backend="eager", fullgraph=fullgraph)

    monkeypatch.setattr(torch, "compile", compile_)
    return asked


def test_without_memory_for_packed_weights_the_step_is_compiled_without_them(
    quickly_compiled: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = fresh()
    monkeypatch.setattr(memory, "available", lambda: 2 * compiled_step.linear_bytes(other))
    first = next(steps_of(CompiledCached(), other, "w3 w4", tokens=5))
    assert quickly_compiled == [{"freezing": False}]
    assert first.details["packed_bytes"] == 0


def test_when_packing_fails_the_step_is_compiled_without_it(
    quickly_compiled: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = fresh()
    really = torch.compile

    def compile_(step: object, *, options: dict[str, object], fullgraph: bool) -> object:
        if options["freezing"]:
            quickly_compiled.append(options)
            return fails
        return really(step, options=options, fullgraph=fullgraph)

    monkeypatch.setattr(torch, "compile", compile_)
    assert tokens_of(CompiledCached(), other, "w3 w4", 5) == generated(other, "w3 w4", 5)
    assert quickly_compiled == [{"freezing": True}, {"freezing": False}]
    assert compiled_step.compiled_for(other).packed_bytes == 0


def fails(*_: object) -> None:
    from torch._dynamo.exc import TorchDynamoException  # noqa: PLC0415 - slow to import

    raise TorchDynamoException("Graph break.\n\nHint: many lines")


def test_a_failed_compilation_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda *_, **__: fails)
    with pytest.raises(BadInput, match=r"cannot compile this model's step here \(Graph break\): use StaticCache\.$"):
        next(steps_of(CompiledCached(), fresh(), "fox", tokens=5))


def test_on_a_gpu_the_step_is_run_then_recorded_and_from_then_on_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = mock.MagicMock()
    calls.step.side_effect = lambda *_: torch.zeros(3)
    calls.graph.return_value.__enter__ = lambda _: calls.recording()
    calls.graph.return_value.__exit__ = lambda *_: calls.recorded()
    for name in ("Stream", "stream", "current_stream", "synchronize", "graph"):
        monkeypatch.setattr(torch.cuda, name, getattr(calls, name))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: calls.made)
    run = compiled_run.Run(64, mock.Mock(), torch.zeros((1, 1)), calls.step)
    compiled_run.record_graph(run)
    done = [name for name, _, _ in calls.mock_calls]
    assert [name for name in done if name in ("step", "recording", "recorded", "made.replay")] == [
        *["step"] * compiled_run.RUNS_BEFORE_RECORDING,
        "recording",
        "step",
        "recorded",
        "made.replay",
    ]
    assert calls.graph.call_args.kwargs["capture_error_mode"] == "thread_local"  # other threads may use the device
    assert run() is run.logits
    assert calls.step.call_count == compiled_run.RUNS_BEFORE_RECORDING + 1


@pytest.mark.parametrize(("free", "context", "size", "tuned"), [
    (10**12, 4096, 64, 2560),
    (10**12, 4096, 3072, 3072),
    (10**12, 512, 64, 512),
    (10**3, 4096, 64, 64),
])  # fmt: skip
def test_on_a_gpu_kernels_are_tuned_for_a_long_text_if_it_fits(
    monkeypatch: pytest.MonkeyPatch, free: int, context: int, size: int, tuned: int
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (free, 10**12))
    model = fresh()
    assert compiled_step.tuned_length(model, size) == size  # on a CPU
    there = mock.Mock(device=torch.device("cuda"), context_length=context, network=model.network, dtype=model.dtype)
    assert compiled_step.tuned_length(there, size) == tuned


def test_warnings_of_torch_about_compiled_code_are_not_printed(
    quickly_compiled: list[dict[str, object]], recwarn: pytest.WarningsRecorder
) -> None:
    other = fresh()
    with compiled_step.trace_settings(other, pack=False):
        warnings.warn("TensorFloat32 tensor cores for float32 matrix multiplication available", stacklevel=1)
    tokens_of(CompiledCached(), other, "w3", 3)
    assert quickly_compiled
    assert [str(warning.message) for warning in recwarn if warning.category is not DeprecationWarning] == []


def test_rotary_factors_that_depend_on_the_text_length_are_refused() -> None:
    rotary = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4, "rope_theta": 1e4}
    network = tiny_llama_network(WORDS)
    network.config.rope_parameters = rotary | {"original_max_position_embeddings": 16}
    reason = CompiledCached().unavailable_reason(loaded("longrope", network, word_tokenizer()))
    assert (
        reason == "its rotary factors change with the length of the text, which cannot be compiled: use DynamicCache."
    )


def test_cache_sizes_are_multiples_of_64() -> None:
    assert [compiled_run.size_for(n) for n in (1, 64, 65, 2497)] == [64, 64, 128, 2560]


@pytest.mark.parametrize("name", [*SLIDING, *STATES])
def test_models_that_would_recompile_at_each_position_are_refused(name: str) -> None:
    assert "compiled anew at each position" in (CompiledCached().unavailable_reason(model_of(name)) or "")


def test_each_reason_against_compiling_is_named(tiny_llama: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no-such-compiler cannot be found" in (CompiledCached().unavailable_reason(tiny_llama) or "")
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    assert "ZeroGPU" in (CompiledCached().unavailable_reason(tiny_llama) or "")
    monkeypatch.delenv("SPACES_ZERO_GPU")
    assert "transformers marks this model's code" in (CompiledCached().unavailable_reason(model_of("mpt")) or "")


def test_compile_time_is_reported_separately_from_decoding() -> None:
    details = {"compile_seconds": 12.0, "packed_bytes": 5e8}
    remarks = CompiledCached().remarks([TimedStep(Step((), positions=1, details=details), 1.0)])
    assert remarks == [
        "Compiling Compiled's step took 12 s, before the clock ran: it is in none of these times.",
        "Compiled holds the weights of its linear layers twice: 500 MB of them are packed for reading row by row.",
    ]
