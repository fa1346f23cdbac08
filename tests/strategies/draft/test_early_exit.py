"""The first layers of a model are those of the model, run alone; what they draft changes no token."""

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM

from kvdemo.models.loaded import LoadedModel
from kvdemo.strategies.draft.early_exit import EarlyExit
from kvdemo.strategies.draft.first_layers import first_layers
from tests.models.tiny_configs import tiny
from tests.models.wrappers import wrapper
from tests.strategies.conftest import generated, steps_of, tokens_of, word_tokenizer
from tests.strategies.layered import FULL, SLIDING, model_of
from tests.tiny_models import loaded

TEXT = "w3 w4 w5 w6"


@pytest.mark.parametrize("name", [*FULL, *SLIDING])
def test_the_draft_of_the_first_layers_is_the_models_hidden_state_through_its_head(name: str) -> None:
    model = model_of(name)
    cut = first_layers(model, 0.5)
    count = cut.config.num_hidden_layers
    assert 1 <= count < model.config.num_hidden_layers
    ids = torch.tensor([model.tokenizer.encode(TEXT)])
    seen: list[torch.Tensor] = []
    blocks = next(m for m in model.network.modules() if isinstance(m, torch.nn.ModuleList) and len(m) > count)
    hook = blocks[count - 1].register_forward_hook(
        lambda _m, _i, out: seen.append(out[0] if isinstance(out, tuple) else out)
    )
    with torch.inference_mode():
        alone = cut.network(input_ids=ids).logits
        model.network(input_ids=ids)
    hook.remove()
    assert torch.equal(seen[0], seen[1])  # the block put out the same in both
    assert alone.shape[1] == ids.shape[1]


@pytest.mark.parametrize("depth", [30, 60, 90])
def test_layers_that_share_keys_can_draft(depth: int) -> None:
    network = AutoModelForCausalLM.from_config(tiny("gemma4, layers that share keys")).eval()
    model = loaded("shared", network, word_tokenizer())
    assert EarlyExit(depth=depth).unavailable_reason(model) is None
    assert tokens_of(EarlyExit(depth=depth), model, TEXT, 8) == generated(model, TEXT, 8)


def test_as_many_layers_for_pictures_are_no_obstacle() -> None:
    network = wrapper("internvl")
    tower = network.model.vision_tower.encoder
    tower.layer.append(copy.deepcopy(tower.layer[0]))
    assert len(tower.layer) == network.config.get_text_config().num_hidden_layers
    assert EarlyExit().unavailable_reason(loaded("pictures", network, word_tokenizer())) is None


def test_drafting_does_not_change_the_model(tiny_llama: LoadedModel) -> None:
    before = (tiny_llama.config.num_hidden_layers, len(list(tiny_llama.network.modules())))
    first_layers(tiny_llama, 0.5)
    assert (tiny_llama.config.num_hidden_layers, len(list(tiny_llama.network.modules()))) == before


def test_no_weight_is_copied(tiny_llama: LoadedModel) -> None:
    own = {id(parameter) for parameter in tiny_llama.network.parameters()}
    assert {id(parameter) for parameter in first_layers(tiny_llama, 0.5).network.parameters()} < own


@pytest.mark.parametrize("depth", [1, 50, 99])
def test_the_text_is_the_whole_models_at_any_depth(tiny_llama: LoadedModel, depth: int) -> None:
    tokens: list[int] = []
    for step in steps_of(EarlyExit(depth=depth), tiny_llama, TEXT, tokens=20):
        tokens += step.tokens
        if len(tokens) >= 20:
            break
    assert tokens[:20] == generated(tiny_llama, TEXT, 20)
