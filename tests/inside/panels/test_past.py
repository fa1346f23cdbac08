"""Hidden states of the past: those that forward hooks see, unchanged unless positions look ahead."""

import copy
import threading
from dataclasses import replace
from typing import Any

import pytest
import torch

from kvdemo.core.settings.inside import InsideRequest
from kvdemo.inside import session
from kvdemo.inside.appended_text import continued
from kvdemo.inside.panel import CannotShow
from kvdemo.inside.panels.past import tolerance
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.network.cache_argument import cache_kwargs
from tests.inside.shown import TEXT, shown
from tests.strategies.layered import model_of

WORDS = "w10 w11 w12 w13 w14 w15 w16"


@torch.inference_mode()
def by_hooks(model: LoadedModel, ids: list[int], **asked: Any) -> list[torch.Tensor]:
    """The embedding's sum, each block's output, the last one after the final norm; seen by hooks of this test."""
    inner = model.network.base_model
    blocks, norm = (inner.h, inner.ln_f) if hasattr(inner, "h") else (inner.layers, inner.norm)
    seen: list[torch.Tensor] = []
    hooks = [blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))]
    for module in [*blocks[:-1], norm]:
        hooks.append(
            module.register_forward_hook(lambda _, __, out: seen.append(out[0] if isinstance(out, tuple) else out))
        )
    model.network(input_ids=torch.tensor([ids]), **cache_kwargs(model.network, None), **asked)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("both_ways", [False, True])
def test_the_differences_are_those_that_forward_hooks_see(tiny_model: LoadedModel, both_ways: bool) -> None:
    panel = shown(tiny_model, "past")
    texts = [tiny_model.tokenizer.encode(text) for text in (TEXT, TEXT + " dog")]
    shared = len(texts[0])
    assert panel["shared"] == shared and texts[1][:shared] == texts[0]
    asked = [{"attention_mask": torch.zeros(1, 1, len(ids), len(ids))} if both_ways else {} for ids in texts]
    before, after = (by_hooks(tiny_model, ids, **more) for ids, more in zip(texts, asked, strict=True))
    layers = panel["bidirectional" if both_ways else "layers"]
    assert [layer["layer"] for layer in layers] == list(range(len(before)))
    for layer, was, now in zip(layers, before, after, strict=True):
        assert layer["largest_difference"] == pytest.approx(float((now[:, :shared] - was).abs().max()))
        assert layer["scale"] == pytest.approx(float(was.abs().max()))


def test_the_past_of_a_causal_model_does_not_change(tiny_model: LoadedModel) -> None:
    panel = shown(tiny_model, "past")
    assert panel["holds"] and panel["tolerance"] == 1e-4 and panel["note"] is None
    assert panel["layers"][0]["largest_difference"] == 0  # the embedding
    assert all(layer["largest_difference"] <= 1e-4 for layer in panel["layers"])


@torch.inference_mode()
def test_the_tolerance_scales_with_the_position_that_differs_most(
    tiny_llama: LoadedModel,
) -> None:
    model = replace(tiny_llama, network=copy.deepcopy(tiny_llama.network))
    first = tiny_llama.tokenizer.encode(TEXT)[0]
    model.network.model.embed_tokens.weight[first] *= 10_000  # one position with numbers far above the others'
    before, after = (by_hooks(model, tiny_llama.tokenizer.encode(text))[1:] for text in (TEXT, TEXT + " dog"))
    for layer, was, now in zip(shown(model, "past")["layers"][1:], before, after, strict=True):
        shared = was.shape[1]
        differences, scales = ((one.abs().amax(-1)[0]) for one in (now[:, :shared] - was, was))
        equal = differences == differences.max()
        assert layer["tolerance"] == pytest.approx(1e-4 * float(scales[equal].clamp(min=1).min()))
        assert layer["holds"] == bool((differences <= 1e-4 * scales.clamp(min=1)).all())
        assert layer["holds"] and layer["tolerance"] < 1e-4 * layer["scale"]


def test_with_bidirectional_attention_the_past_changes(tiny_model: LoadedModel) -> None:
    first, *others = shown(tiny_model, "past")["bidirectional"]
    assert first["largest_difference"] == 0
    assert all(layer["largest_difference"] > 0.1 for layer in others)


@pytest.mark.parametrize("name", ["mistral", "gemma3", "mixtral", "deepseek_v3", "gemma4, layers that share keys"])
def test_windows_experts_latents_and_shared_keys_change_no_past(name: str) -> None:
    panel = shown(model_of(name), "past", WORDS, append=" w20 w21")
    assert panel["holds"] and len(panel["layers"]) == model_of(name).config.num_hidden_layers + 1
    assert panel["bidirectional"][-1]["largest_difference"] > 0.1


def test_a_bidirectional_model_is_recognised() -> None:
    assert not shown(model_of("bert"), "past", WORDS, append=" w20")["holds"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("mamba", "takes no mask"),
        ("bloom", "takes no mask"),
        ("xlm", "takes no mask"),
        ("rwkv", "does not look ahead even with"),
        ("gpt_neo", "does not look ahead even with"),
    ],
)
def test_models_without_an_attention_mask_show_no_bidirectional_pass(name: str, why: str) -> None:
    panel = shown(model_of(name), "past", WORDS, append=" w20")
    assert why in panel["bidirectional"]["cannot"]
    assert len(panel["layers"]) == 3


def test_tokens_that_merge_across_the_boundary_are_not_compared(tiny_llama: LoadedModel) -> None:
    before, after = tiny_llama.tokenizer.encode("The qu"), tiny_llama.tokenizer.encode("The quick")
    panel = shown(tiny_llama, "past", "The qu", append="ick")
    assert 0 < panel["shared"] < len(before) and before[: panel["shared"]] == after[: panel["shared"]]
    assert f"from position {panel['shared']} on" in panel["note"]
    assert panel["holds"]


def test_the_appended_words_follow_the_text_without_the_chat_template(tiny_llama: LoadedModel) -> None:
    request = InsideRequest.parse({"prompt": "The quick brown", "append": " fox", "chat": True})
    subject = session.subject(request, tiny_llama, threading.Event())
    assert subject.prompt.text != "The quick brown"
    texts = continued(subject)
    plain = continued(session.subject(replace(request, chat=False), tiny_llama, threading.Event()))
    assert (texts.text, texts.before, texts.after) == ("The quick brown", plain.before, plain.after)
    assert texts.note and "without its chat template" in texts.note and plain.note is None


def test_an_appended_text_without_a_token_is_refused() -> None:
    request = replace(InsideRequest.parse({"prompt": WORDS}), append=" ")
    with pytest.raises(CannotShow, match="adds no token"):
        continued(session.subject(request, model_of("qwen3"), threading.Event()))


def test_a_text_whose_first_token_changes_says_so() -> None:
    assert "first token" in shown(model_of("qwen3"), "past", "w1", append="0 w20")["cannot"]


def test_a_text_that_fills_the_context_is_shortened(tiny_gpt2: LoadedModel) -> None:
    ids = tiny_gpt2.tokenizer.encode("fox " * 512)[:512]
    panel = shown(tiny_gpt2, "past", tiny_gpt2.decode(ids))
    room = 512 - len(tiny_gpt2.tokenizer.encode(" dog"))
    assert panel["shared"] == room and f"first {room} tokens" in panel["note"] and panel["holds"]
    assert "leave no room" in shown(tiny_gpt2, "past", append=" fox jumps" * 600)["cannot"]


@pytest.mark.parametrize("prompt", ["a", "é", "👩‍💻", "\ufffd"])
def test_short_texts_and_halves_of_characters_are_shown(tiny_model: LoadedModel, prompt: str) -> None:
    assert shown(tiny_model, "past", prompt)["holds"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_tolerance_of_sixteen_bit_formats_is_their_rounding(dtype: torch.dtype) -> None:
    assert tolerance(dtype) == 8 * torch.finfo(dtype).eps > tolerance(torch.float32) == 1e-4


def test_only_the_shared_prefix_is_compared(tiny_llama: LoadedModel) -> None:
    request = InsideRequest.parse({"prompt": "The qu", "append": "ick fox"})
    texts = continued(session.subject(request, tiny_llama, threading.Event()))
    assert texts.before[: texts.shared] == texts.after[: texts.shared]
    assert texts.before[texts.shared] != texts.after[texts.shared]
