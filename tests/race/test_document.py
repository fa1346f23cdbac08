import copy
import csv
import io
import json
import threading
from typing import Any

import pytest

from kvdemo.core.events import RaceEvent, TokensCommitted
from kvdemo.core.settings.inside import InsideRequest
from kvdemo.core.settings.race import RaceRequest
from kvdemo.documents import schema
from kvdemo.inside import session as inside
from kvdemo.models.loaded import LoadedModel
from kvdemo.race import session
from kvdemo.race.document import to_csv
from tests.tiny_models import loaded


@pytest.fixture(scope="module")
def made(tiny_llama: LoadedModel) -> dict[str, Any]:
    asked = RaceRequest.parse({"prompt": 'The "quick" =fox', "max_new_tokens": 9, "ignore_eos": True})
    return dict(session.run(asked, tiny_llama, lambda _: None, threading.Event()).document)


def test_the_document_has_the_fields_that_scripts_depend_on(made: dict[str, Any]) -> None:
    assert made["schema"] == 1
    assert {"environment", "model", "prompt", "schedule", "lanes", "comparison"} <= made.keys()
    assert {"id", "source", "dtype", "device", "revision", "parameters", "layers", "kv_heads", "head_dim"} <= made[
        "model"
    ].keys()
    assert made["prompt"]["text"] == 'The "quick" =fox'
    lane = made["lanes"][0]
    assert {"strategy", "status", "finish_reason", "error", "tokens", "text", "steps", "metrics"} <= lane.keys()
    assert {"tokens", "seconds", "positions", "cache_bytes"} <= lane["steps"][0].keys()
    assert {"ttft_s", "tpot_s", "itl_s", "e2e_s", "tokens_per_s"} <= lane["metrics"].keys()
    assert {"mean", "p50", "p90", "p99", "max"} == lane["metrics"]["itl_s"].keys()
    assert {"strategy", "speedup", "identical", "first_divergence"} == made["comparison"]["lanes"][0].keys()


def test_the_verdicts_sentences_are_those_of_its_findings(made: dict[str, Any]) -> None:
    verdict = made["verdict"]
    assert [finding["text"] for finding in verdict["findings"]] == [verdict["headline"], *verdict["sentences"]]
    assert all(finding.keys() == {"kind", "lanes", "numbers", "text", "reason"} for finding in verdict["findings"])


def test_the_document_is_strict_json(made: dict[str, Any]) -> None:
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_prompt_tokens_are_those_that_the_model_reads(made: dict[str, Any], tiny_llama: LoadedModel) -> None:
    assert made["prompt"]["tokens"] == tiny_llama.tokenizer.encode(made["prompt"]["model_text"])
    assert made["lanes"][1]["steps"][0]["positions"] == len(made["prompt"]["tokens"])


def test_an_id_lanes_text_is_its_decoded_tokens_and_a_text_lanes_text_is_what_it_wrote(
    made: dict[str, Any], tiny_llama: LoadedModel
) -> None:
    reencode, cached = made["lanes"]
    assert cached["text"] == tiny_llama.tokenizer.decode(cached["tokens"])
    assert reencode["text"] == "".join(tiny_llama.piece(t) for t in reencode["tokens"])


def test_the_csv_has_a_row_per_token_and_no_formulas(made: dict[str, Any]) -> None:
    made["lanes"][0]["steps"][0]["texts"] = ["=1+1\n"]
    rows = list(csv.DictReader(io.StringIO(to_csv(made))))
    assert len(rows) == sum(len(lane["tokens"]) for lane in made["lanes"]) == 18
    assert [int(r["token_id"]) for r in rows] == [t for lane in made["lanes"] for t in lane["tokens"]]
    assert rows[0]["text"] == r'"=1+1\n"'
    for lane in made["lanes"]:
        mine = [r for r in rows if r["strategy"] == lane["strategy"]]
        assert sum(float(r["seconds"]) for r in mine) == pytest.approx(lane["metrics"]["e2e_s"])


def test_the_csv_states_the_settings_of_each_lane(tiny_llama: LoadedModel) -> None:
    lanes = "dynamic_cache,dynamic_cache:temperature=0.8:top_k=20,sliding_window:window=8,beam_search"
    asked = RaceRequest.parse({"prompt": "The fox", "strategies": lanes, "max_new_tokens": 2, "ignore_eos": True})
    document = session.run(asked, tiny_llama, lambda _: None, threading.Event()).document
    rows = {row["lane"]: row["settings"] for row in csv.DictReader(io.StringIO(to_csv(document)))}
    assert rows["0"] == "temperature=0.0:top_p=1.0:seed=0"
    assert rows["1"] == "temperature=0.8:top_p=1.0:seed=0:top_k=20"
    assert "window=8" in rows["2"].split(":") and "temperature=0.0" in rows["2"].split(":")
    assert "temperature" not in rows["3"]  # it has a rule of its own


@pytest.mark.parametrize("asked_for", [False, True])
def test_candidates_are_in_the_document_on_request(tiny_llama: LoadedModel, asked_for: bool) -> None:
    lanes = "dynamic_cache:temperature=0.8:top_k=20,prompt_lookup,beam_search"
    asked = RaceRequest.parse(
        {"prompt": "a fox a fox a fox", "strategies": lanes, "max_new_tokens": 6, "ignore_eos": True,
         "candidates": asked_for}
    )  # fmt: skip
    events: list[RaceEvent] = []
    document = session.run(asked, tiny_llama, events.append, threading.Event(), with_candidates=True).document
    told = [event for event in events if isinstance(event, TokensCommitted)]
    for number, lane in enumerate(document["lanes"]):
        found = [one for event in told if event.lane == number for one in event.candidates]
        assert [step.get("candidates") is not None for step in lane["steps"]] == [asked_for] * len(lane["steps"])
        assert bool(lane.get("no_candidates")) is (asked_for and lane["strategy"] == "beam_search")
        if asked_for:
            assert [one for step in lane["steps"] for one in step["candidates"]] == found[: len(lane["tokens"])]
    drawn = told[0].candidates[0]
    assert drawn is not None
    assert [stage["name"] for stage in drawn["stages"]] == ["model", "temperature 0.8", "top-k 20"]
    assert drawn["likeliest"][0]["text"] == tiny_llama.piece(drawn["likeliest"][0]["token"])
    assert drawn["likeliest"][drawn["chosen"]]["token"] == document["lanes"][0]["tokens"][0]
    assert all(choice.candidates is None for event in told for choice in event.timed.step.choices)  # kept once
    schema.check(document)


@pytest.mark.parametrize("chat", [True, False])
def test_the_document_says_whether_a_template_was_applied_that_changes_nothing(
    tiny_llama: LoadedModel, chat: bool
) -> None:
    tokenizer = copy.deepcopy(tiny_llama.tokenizer)
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    model = loaded("plain", tiny_llama.network, tokenizer)
    asked = RaceRequest.parse({"prompt": "fox", "max_new_tokens": 1, "chat": chat})
    document = session.run(asked, model, lambda _: None, threading.Event()).document
    assert (document["prompt"]["model_text"], document["settings"]["chat"]) == ("fox", chat)
    looked = InsideRequest.parse({"prompt": "fox", "panels": "formulas", "chat": chat})
    assert inside.run(looked, model, lambda _: None, threading.Event())["settings"]["chat"] is chat


def test_the_document_names_what_generate_would_also_apply(tiny_llama: LoadedModel, made: dict[str, Any]) -> None:
    """With it the texts are not those of generate(), which takes it from the model's files unasked."""
    network = copy.deepcopy(tiny_llama.network)
    network.generation_config.repetition_penalty = 1.05
    network.generation_config.suppress_tokens = [7]
    model = loaded("penalised", network, tiny_llama.tokenizer)
    asked = RaceRequest.parse({"prompt": "fox", "max_new_tokens": 2})
    first, second = session.run(asked, model, lambda _: None, threading.Event()).document["lanes"]
    said = "generate() would also apply repetition_penalty and suppress_tokens of penalised's generation_config.json"
    assert [remark.startswith(said) for remark in first["remarks"]].count(True) == 1
    assert not any("generate()" in remark for remark in [*second["remarks"], *made["lanes"][0]["remarks"]])
