"""Types that transformers lists as encoders, saved as decoders: what is planned is what is loaded."""

import json
from pathlib import Path

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, DynamicCache

from kvdemo.costs import formulas
from kvdemo.models import loading
from kvdemo.models.facts import architecture
from kvdemo.models.network.forward import cache_bytes, next_token_logits
from tests.models.wrappers import save

NUMBERS = {"vocab_size": 300, "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2}
NUMBERS |= {"intermediate_size": 48, "embedding_size": 32, "max_position_embeddings": 64, "pad_token_id": 0}
HALF = {"vocab_size": 300, "d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 48}
HALF |= {"encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 40, "max_position_embeddings": 64}
HALF |= {"pad_token_id": 0, "eos_token_id": 2}
KINDS = {
    **{kind: NUMBERS | {"is_decoder": True} for kind in ("bert", "roberta", "roformer", "electra", "big_bird")},
    **{kind: HALF | {"is_encoder_decoder": False} for kind in ("bart", "mbart", "pegasus", "marian")},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_of_an_encoder_made_a_decoder_is_what_is_loaded(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save(tmp_path, AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**KINDS[kind])).eval())
    model = loading.load(str(tmp_path), device="cpu", dtype="float32")
    plan = architecture.parse(json.loads((tmp_path / "config.json").read_text()))
    assert plan.parameters == model.facts()["parameters"]
    assert plan.layers == model.layers
    assert not plan.text_part, "it is for text alone"
    assert plan.context_length == model.context_length
    assert plan.active_parameters * 4 == model.read_bytes
    cache = DynamicCache(config=model.network.config)
    with torch.inference_mode():
        next_token_logits(model, [5, 6, 7, 8, 9], cache)
    assert cache_bytes(cache) == formulas.kv_bytes(plan, 5, 4)
