"""Models whose rotary factors change at a line: every exact lane goes on beyond it as `generate()` does."""

from functools import cache
from itertools import islice
from threading import Event

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, DynamicCache

from kvdemo.core.settings.race import RaceRequest
from kvdemo.core.types import Pass, Step, TimedStep
from kvdemo.models.facts import rope
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.forward import forward
from kvdemo.race import session
from kvdemo.strategies import longrope
from kvdemo.strategies.base import Strategy
from kvdemo.strategies.draft import draft_model, verify
from kvdemo.strategies.draft.prompt_lookup import PromptLookup
from kvdemo.strategies.draft.speculative import Speculative
from kvdemo.strategies.kv_cache import teacher_forcing
from kvdemo.strategies.kv_cache.batched import Batched
from kvdemo.strategies.kv_cache.dynamic_cache import DynamicCached
from kvdemo.strategies.kv_cache.quantized_cache import Quantized
from kvdemo.strategies.kv_cache.static_cache import StaticCached
from kvdemo.strategies.recompute.no_cache import NoCache
from kvdemo.strategies.search.beam_search import BeamSearch
from kvdemo.strategies.search.best_of_n import SEEDS_APART, BestOfN
from kvdemo.strategies.search.contrastive_search import ContrastiveSearch
from tests.strategies.draft.test_prompt_lookup import guessing, job_of, oracle, steps_until
from tests.strategies.search.test_contrastive_search import searched as contrastive

from ..tiny_models import loaded
from .conftest import WORDS, generated, similar, steps_of, tokens_of, word_tokenizer

pytestmark = pytest.mark.slow

LINE, NEW = 20, 12
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
SIZES |= {"num_key_value_heads": 2, "original_max_position_embeddings": LINE, "max_position_embeddings": 128}
FACTORS = {"rope_theta": 10_000.0, "original_max_position_embeddings": LINE}
LONGROPE = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4, **FACTORS}
PARTIAL = LONGROPE | {"partial_rotary_factor": 0.75, "short_factor": [1.0] * 3, "long_factor": [2.0] * 3}
MODELS = {
    "phi3": {"rope_parameters": LONGROPE, "sliding_window": None},
    "phi3 sliding": {"rope_parameters": LONGROPE, "sliding_window": 7},
    "phi3 partial": {"rope_parameters": PARTIAL, "sliding_window": None},  # as Phi-4-mini
    "phimoe": {"rope_parameters": LONGROPE | {"short_mscale": 1.1, "long_mscale": 1.4}, "num_local_experts": 4},
}
EXACT = [NoCache(), DynamicCached(), StaticCached(), Batched(rows=2), PromptLookup(), Speculative()]
#: Prompts that begin before the line, one before it, at it and beyond it: the text crosses it at token 5, 2, 1, never.
LENGTHS = (LINE - 4, LINE - 1, LINE, LINE + 1, LINE + 5)


@cache
def model_of(name: str) -> LoadedModel:
    kind = name.split(maxsplit=1)[0]
    special = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    config = CONFIG_MAPPING[kind](vocab_size=WORDS, initializer_range=0.5, **SIZES, **special, **MODELS[name])
    torch.manual_seed(1)
    return loaded(name, AutoModelForCausalLM.from_config(config).eval(), word_tokenizer())


def prompt_of(length: int) -> str:
    """Words that repeat themselves, so that prompt lookup finds something."""
    return " ".join(f"w{3 + 7 * (n % 6)}" for n in range(length))


@pytest.fixture(autouse=True)
def a_draft_model(monkeypatch: pytest.MonkeyPatch) -> None:
    drafts = cache(lambda model, _asked: similar(model, noise=0.01))
    monkeypatch.setattr(draft_model, "load_draft", drafts)
    monkeypatch.setattr(draft_model, "unavailable_reason", lambda _model, _asked: None)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("length", LENGTHS)
def test_the_text_across_the_line_is_that_of_generate(name: str, length: int) -> None:
    model, text = model_of(name), prompt_of(length)
    right = generated(model, text, NEW)
    for strategy in EXACT:
        if strategy.unavailable_reason(model) is None:
            assert tokens_of(strategy, model, text, NEW) == right, strategy.id


def test_the_text_would_differ_without_recomputing_at_the_line() -> None:
    """With the keys of before the line in the cache the text would be another: without that nothing is shown above."""
    model, text = model_of("phi3"), prompt_of(LINE - 4)
    assert generated(model, text, NEW) != old_keys(model, text, NEW)


def old_keys(model: LoadedModel, text: str, n: int) -> list[int]:
    """A loop that knows of no line."""
    cache = DynamicCache(config=model.network.config)
    new_ids, tokens = model.tokenizer.encode(text), []
    with torch.inference_mode():
        while len(tokens) < n:
            new_ids = [int(forward(model, torch.tensor([new_ids]), cache)[0, -1].argmax())]
            tokens += new_ids
    return tokens


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("strategy", EXACT[1:], ids=lambda s: s.id)
def test_draws_across_the_line_are_those_without_a_cache(strategy: Strategy, length: int) -> None:
    model, text = model_of("phi3"), prompt_of(length)
    for seed in range(3):
        drawn = {"temperature": 0.8, "seed": seed}
        assert tokens_of(strategy, model, text, NEW, **drawn) == tokens_of(NoCache(), model, text, NEW, **drawn)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", ["phi3", "phimoe"])
def test_beams_across_the_line_are_those_of_generate(name: str, length: int) -> None:
    model, text = model_of(name), prompt_of(length)
    assert tokens_of(BeamSearch(beams=3), model, text, NEW) == generated(model, text, NEW, num_beams=3)


@pytest.mark.parametrize("length", LENGTHS)
def test_contrastive_search_across_the_line_follows_its_formula(length: int) -> None:
    model, text = model_of("phi3"), prompt_of(length)
    assert tokens_of(ContrastiveSearch(), model, text, NEW) == contrastive(model, text, NEW, 0.6, 4)


@pytest.mark.parametrize("length", LENGTHS)
def test_rows_of_best_of_n_across_the_line_are_those_of_single_lanes(length: int) -> None:
    model, text = model_of("phi3"), prompt_of(length)
    (step,) = steps_of(BestOfN(rows=3), model, text, temperature=0.8, tokens=NEW)
    seeds = [SEEDS_APART * row for row in range(3)]
    alone = [tokens_of(NoCache(), model, text, NEW, temperature=0.8, seed=seed) for seed in seeds]
    assert list(step.tokens) == alone[int(step.details["best_row"])]


@pytest.mark.parametrize("most", [1, 3, 8])
@pytest.mark.parametrize("name", MODELS)
def test_drafts_end_at_the_line(name: str, most: int) -> None:
    model, text = model_of(name), prompt_of(LINE - 5)
    if verify.unavailable_reason(model):
        pytest.skip("a guess cannot be taken back here")
    right = generated(model, text, NEW)
    steps = steps_until(guessing(job_of(model, text, NEW), oracle(right, LINE - 5, wrong_every=50), most), NEW)
    assert [token for step in steps for token in step.tokens] == right
    ran = []
    for step in steps:
        ran += step.ran(LINE - 5 + sum(len(s.tokens) for s in steps[: steps.index(step)]))
    assert all(one.context <= LINE or one.context - one.positions in (0, *range(LINE + 1, 99)) for one in ran)
    assert sum(step.details["accepted"] for step in steps) > 0
    (again,) = [step for step in steps if "rotary_line" in step.details]
    assert again.positions == LINE + 1


def test_a_draft_model_recomputes_at_its_line_in_both_directions() -> None:
    model = model_of("phi3")
    ids = [int(word[1:]) for word in prompt_of(LINE + 4).split()]
    with torch.inference_mode():
        drafter = draft_model.Drafter(model, WORDS)
        for length in (LINE - 3, LINE - 2, LINE, LINE + 3):
            written, alone = ids[:length], []
            for _ in range(5):
                alone.append(int(forward(model, torch.tensor([written + alone]), None)[0, -1].argmax()))
            assert drafter.guess(written, 5) == alone
    assert any(one.positions == one.context == LINE - 2 for one in drafter.passes)  # back behind the line


def test_teacher_forcing_across_the_line_gives_the_lanes_log_probabilities() -> None:
    model, text = model_of("phi3"), prompt_of(LINE - 4)
    steps = list(islice(steps_of(NoCache(), model, text), NEW))
    choices = [choice for step in steps for choice in step.choices]
    exact = teacher_forcing.logprobs(model, model.tokenizer.encode(text), [choice.token for choice in choices], Event())
    assert exact == pytest.approx([choice.logprob for choice in choices], abs=1e-4)


def test_a_quantised_lane_recomputes_at_the_line_and_counts_its_bytes() -> None:
    model = model_of("phi3")
    steps = [TimedStep(step, 1.0) for step in islice(steps_of(Quantized(), model, prompt_of(LINE - 4)), NEW)]
    assert [timed.step.positions for timed in steps] == [LINE - 4, *[1] * 4, LINE + 1, *[1] * 6]
    exact = list(islice(steps_of(DynamicCached(), model, prompt_of(LINE - 4)), NEW))
    a_position = exact[-1].cache_bytes / (LINE - 4 + NEW - 1)
    assert f"holds {a_position:.0f} B" in Quantized().remarks(steps)[0]


def test_the_verdict_names_the_recomputing_step_and_its_reason() -> None:
    form = {"prompt": prompt_of(LINE - 4), "chat": False, "max_new_tokens": NEW, "ignore_eos": True}
    request = RaceRequest.parse(form | {"strategies": "no_cache,dynamic_cache,prompt_lookup,beam_search:beams=2"})
    document = session.run(request, model_of("phi3"), lambda _: None, Event()).document
    none, cached, lookup, beams = document["lanes"]
    assert not none["remarks"]
    assert cached["remarks"][0].startswith("DynamicCache ran all 21 positions again at token 6, in ")
    assert cached["remarks"][0] in document["verdict"]["sentences"]
    assert "more than 20 positions" in cached["remarks"][0] and "(longrope)" in cached["remarks"][0]
    for lane in (lookup, beams):
        assert "ran all 21 positions again at token" in lane["remarks"][0]


def test_without_crossing_the_line_there_is_no_remark() -> None:
    assert not longrope.remarks("A", [TimedStep(Step((), 1), 1.0)])
    model = model_of("phi3")
    steps = islice(steps_of(DynamicCached(), model, prompt_of(LINE + 3)), NEW)
    assert all("rotary_line" not in step.details for step in steps)


def test_recomputing_is_counted_as_a_pass_over_the_text() -> None:
    steps = list(islice(steps_of(Batched(rows=2), model_of("phi3"), prompt_of(LINE)), 3))
    assert [step.passes for step in steps] == [
        (Pass(2, LINE, LINE),),
        (Pass(2, LINE + 1, LINE + 1),),
        (Pass(2, 1, LINE + 2),),
    ]
    held = [step.cache_bytes / step.passes[0].context for step in steps]
    assert held[0] == held[1] == held[2]


@pytest.mark.parametrize("kind", ["dynamic", "linear", "llama3", "yarn"])
def test_other_rotary_kinds_recompute_nothing_within_the_context(kind: str) -> None:
    """`dynamic` stretches beyond max_position_embeddings, which is where a text must end here."""
    parameters = {"rope_type": kind, "factor": 2.0, **FACTORS, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    config = CONFIG_MAPPING["llama"](
        vocab_size=WORDS, initializer_range=0.4, **(SIZES | {"max_position_embeddings": 32}),
        rope_parameters=parameters, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    model, text = loaded(kind, AutoModelForCausalLM.from_config(config).eval(), word_tokenizer()), prompt_of(16)
    assert rope.switch_lengths(model.config) == ()
    right = generated(model, text, 16)
    for strategy in EXACT:
        assert tokens_of(strategy, model, text, 16) == right, strategy.id


def test_simultaneous_lanes_do_not_read_each_others_rotary_factors() -> None:
    """The factors are a buffer of the model, set in each pass: a lane before the line would read another's."""
    form = {"prompt": prompt_of(LINE - 9), "chat": False, "max_new_tokens": 24, "ignore_eos": True}
    request = RaceRequest.parse(
        form | {"strategies": "no_cache,dynamic_cache,static_cache", "schedule": "simultaneous"}
    )
    document = session.run(request, model_of("phi3"), lambda _: None, Event()).document
    assert all(lane["identical"] for lane in document["comparison"]["lanes"])
    assert rope.pass_lock(model_of("phi3").network) is rope.pass_lock(model_of("phi3").network)
