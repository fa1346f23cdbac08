import subprocess
import sys

import pytest
from huggingface_hub.utils import validate_repo_id
from hypothesis import given
from hypothesis import strategies as st

from kvdemo.core.errors import BadInput
from kvdemo.models.names import catalog
from tests.models.saved import refusal


def test_the_catalogue_has_the_documented_models_and_unique_names():
    promised = {
        "openai-community/gpt2",
        "openai-community/gpt2-medium",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "HuggingFaceTB/SmolLM2-360M-Instruct",
        "HuggingFaceTB/SmolLM2-1.7B-Instruct",
        "Qwen/Qwen3-0.6B",
        "meta-llama/Llama-2-7b-chat-hf",
    }
    assert promised <= {card.hub_id for card in catalog.CATALOG}
    names = [name.casefold() for card in catalog.CATALOG for name in (card.id, card.hub_id)]
    assert len(names) == len(set(names))


def test_only_what_needs_a_licence_is_marked_as_gated():
    assert [card.id for card in catalog.CATALOG if card.gated] == ["Llama-2-7b-chat-hf"]


@given(st.sampled_from(catalog.CATALOG), st.sampled_from([str, str.upper, str.lower, str.swapcase]), st.booleans())
def test_a_short_name_and_a_hub_id_mean_the_same_in_any_case(card, spelling, short):
    typed = spelling(card.id if short else card.hub_id)
    assert catalog.resolve(f"  {typed}\n") == (card.hub_id, card.hub_id)


@pytest.mark.parametrize(
    ("typed", "hub_id"),
    [
        ("https://huggingface.co/gpt2", "openai-community/gpt2"),
        ("http://huggingface.co/Qwen/Qwen3-0.6B/tree/main?x=1#y", "Qwen/Qwen3-0.6B"),
        ("huggingface.co/EleutherAI/pythia-70m/", "EleutherAI/pythia-70m"),
        ("hf.co/a/b", "a/b"),
    ],
)
def test_the_address_of_a_models_page_is_a_name_too(typed, hub_id):
    assert catalog.resolve(typed).hub_id == hub_id


def test_a_folder_is_recognised_by_its_form_or_its_existence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "gpt2").mkdir()
    assert catalog.resolve("mine") == ("mine", None)
    assert catalog.resolve("/nowhere/at/all") == ("/nowhere/at/all", None)
    assert catalog.resolve("./gpt2") == ("./gpt2", None)
    assert catalog.resolve("gpt2").hub_id == "openai-community/gpt2"
    assert catalog.resolve("mine", folders=False) == ("mine", "mine")


@pytest.mark.parametrize("typed", ["/etc", "../..", "~", "./x", r"C:\models", "\\\\server\\share", ".", ".."])
def test_with_folders_off_every_path_is_refused_without_a_look_at_the_disk(typed):
    assert "Folders of this server" in refusal(lambda: catalog.resolve(typed, folders=False))


@pytest.mark.parametrize(
    "typed",
    ["", "   ", "two words", "a/b/c", "x" * 1_000_000, "nul\0byte", "/nul\0byte", "a--b", "a..b", "<script>", "né/ü",
     "a/b.git", "a.", "-a/b", "https://huggingface.co/",
     "https://example.org/a", "\ud800", "a\nb", "-" * 300, "/" + "x" * 5000,
     "https://huggingface.co/" + "x" * 5000],
)  # fmt: skip
def test_an_impossible_name_is_refused_in_one_printable_sentence(typed):
    assert refusal(lambda: catalog.resolve(typed)).isprintable()


def test_a_text_longer_than_any_path_is_refused_before_it_is_taken_apart(monkeypatch):
    """A Hub address of four megabytes would be split into as many pieces."""
    monkeypatch.setattr(catalog, "_HUB_PAGE", None)
    assert "is no model" in refusal(lambda: catalog.resolve("https://huggingface.co/" + "?" * 5000))
    assert "There is no shape" in refusal(lambda: catalog.resolve("random:" + "x" * 5000))


@given(st.text())
def test_any_text_is_resolved_or_refused(typed):
    try:
        name = catalog.resolve(typed, folders=False)
    except BadInput as refused:
        assert str(refused).isprintable()
    else:
        assert name.hub_id == name.id


@given(st.from_regex(r"[\w./-]{1,110}", fullmatch=True, alphabet=st.characters(codec="ascii")))
def test_every_accepted_hub_id_is_valid_for_the_hubs_client(typed):
    try:
        hub_id = catalog.resolve(typed, folders=False).hub_id
    except BadInput:
        return
    validate_repo_id(hub_id)


@pytest.mark.parametrize(
    ("typed", "said"),
    [("gpt3", "did you mean gpt2?"), ("someone/smollm2-135m-instrct", "SmolLM2-135M-Instruct"), ("zzz", "gpt2-medium")],
)
def test_near_names_are_suggested_or_else_the_whole_catalogue(typed, said):
    assert said in catalog.suggestion(typed)


@pytest.mark.slow
def test_the_catalogue_is_listed_without_loading_a_model_library():
    code = "import sys, kvdemo.models.names.catalog\n"
    code += "print([m for m in ('torch', 'transformers', 'numpy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
