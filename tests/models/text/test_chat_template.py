"""Chat templates are programs that come with a model's files: whatever one does ends in a prompt or in one sentence."""

from __future__ import annotations

import time
from typing import Any

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.models.loaded import LoadedModel
from kvdemo.models.text import chat_template
from tests.tiny_models import byte_level_tokenizer, loaded, tiny_llama_network

LOOP = "{% for m in messages %}"
PLAIN = LOOP + "<{{ m['role'] }}>{{ m['content'] }}{% endfor %}<assistant>"


def model_with(template: Any) -> LoadedModel:
    tokenizer = byte_level_tokenizer()
    tokenizer.chat_template = template
    return loaded("a-model", tiny_llama_network(len(tokenizer)), tokenizer)


def refusal(model: LoadedModel, text: str = "hello", use: bool | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        model.prompt(text, chat=use)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('Begin with a system message') }}", "Begin with a system message"),
        (LOOP + "{{ m['content'] }\n{% endfor %}", "unexpected '}'"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ range(1000000000) | list }}", "too big"),
        ("{{ 1 + messages }}", "unsupported operand"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ messages[0].__class__.__mro__ }}", "unsafe"),
        ("{% include 'other' %}", "no loader"),
        ("{{ '%d' % messages }}", "%d format"),
        ("{{ nothing.here }}", "undefined"),
        ({"default": "{{ raise_exception('line one\\nline two') }}", "rag": "x"}, "line one"),
        (12, "Can't compile"),
    ],
)
def test_a_failing_template_is_one_sentence_with_its_reason(template: Any, reason: str) -> None:
    sentence = refusal(model_with(template))
    assert reason.lower() in sentence.lower()
    assert sentence.endswith("switch it off (--no-chat).")
    assert model_with(template).prompt("hello", chat=False).text == "hello"


DOUBLED = "{% set s = namespace(v='x') %}{% for n in range(60) %}{% set s.v = s.v ~ s.v %}{% endfor %}{{ s.v }}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "template", ["{{ 'x' * 10 ** 10 }}", DOUBLED, "{{ '%9999999999d' % 1 }}", "{{ ['x'] * 10 ** 10 }}"]
)
def test_a_template_that_runs_out_of_memory_is_refused_in_one_sentence(template: str) -> None:
    sentence = refusal(model_with(template))
    assert any(why in sentence for why in ("Memory", "memory", "takes more than"))
    assert sentence.endswith("switch it off (--no-chat).")


@pytest.mark.slow
@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = b %}{% endfor %}{% endfor %}",
        "{{ 9 ** (9 ** 9) }}",  # within one line of Python
    ],
)
def test_an_endless_template_is_stopped(monkeypatch: pytest.MonkeyPatch, template: str) -> None:
    model_with(PLAIN).prompt("hello", chat=None)
    monkeypatch.setattr(chat_template, "SECONDS", 0.3)
    began = time.monotonic()
    sentence = refusal(model_with(template))
    assert "takes more than 0.3 s" in sentence
    assert sentence.endswith("switch it off (--no-chat).")
    assert time.monotonic() - began < 5


def test_a_template_may_write_more_than_the_prompt_and_not_without_end() -> None:
    letters = LOOP + "{{ 'x' * 50_000 }}{{ m['content'] }}{% endfor %}"
    assert len(model_with(letters).prompt("hello", chat=None).text) == 50_005
    assert "more than it may" in refusal(model_with(letters.replace("50_000", "10 ** 6")))


def test_a_prompt_that_was_rendered_is_not_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_with(PLAIN)
    first = model.prompt("twice", chat=None)
    monkeypatch.setattr(chat_template, "SECONDS", 0.0)
    assert model.prompt("twice", chat=None) == first


@pytest.mark.parametrize("template", ["", "{{ '' }}", "<user><assistant>", LOOP + "{{ m['text'] }}{% endfor %}"])
def test_a_template_that_leaves_the_prompt_out_is_refused(template: str) -> None:
    if template:
        assert "leaves the prompt out" in refusal(model_with(template))
    else:
        assert model_with(template).prompt("hello", chat=None).text == "hello"  # an empty template is none


@pytest.mark.parametrize("text", ["user", "a", "<", "kvdemo", "another"])
def test_a_missing_prompt_is_noticed_even_if_the_template_contains_its_text(text: str) -> None:
    assert "leaves the prompt out" in refusal(model_with("<user>kvdemo another<assistant>"), text)
    assert model_with(PLAIN).prompt(text, chat=None).text == f"<user>{text}<assistant>"


def test_a_template_that_leaves_out_this_prompt_alone_is_refused() -> None:
    picky = LOOP + "{% if 'hello' not in m['content'] %}{{ m['content'] }}{% endif %}{% endfor %}<assistant>"
    assert "leaves the prompt out" in refusal(model_with(picky))
    assert model_with(picky).prompt("good day", chat=None).text == "good day<assistant>"


@pytest.mark.parametrize("part", [".split()[-1]", ".split()[0]", "[:20]", "[-20:]", "[1:]"])
def test_a_template_that_leaves_out_a_part_of_the_prompt_is_refused(part: str) -> None:
    model = model_with(LOOP + "{{ m['content']" + part + " }}{% endfor %}<assistant>")
    assert "or a part of it" in refusal(model, "Tell me what a cache is good for.")


@pytest.mark.parametrize(
    ("template", "text", "right"),
    [
        (PLAIN, "hello", "<user>hello<assistant>"),
        (LOOP + "{{ m['content'] | trim }}{% endfor %}", "  hello\n", "hello"),
        (LOOP + "{{ m['content'] | tojson }}{% endfor %}", 'say "hi"\n', '"say \\"hi\\"\\n"'),
        (LOOP + "{{ m['content'] | upper }}{% endfor %}", "hello", "HELLO"),
        (LOOP + "{{ m['content'] | replace('\\n', ' ') }}{% endfor %}", "a\nb", "a b"),
        (LOOP + "{{ m['content'][0]['text'] }}{% endfor %}!", "hello", "hello!"),
        (LOOP + "{% for part in m['content'] %}{{ part.text }}{% endfor %}{% endfor %}!", "hello", "hello!"),
        (LOOP + "{{ m.content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join }}{% endfor %}",
         "hello", "hello"),
        ({"default": PLAIN, "rag": "x"}, "hello", "<user>hello<assistant>"),
    ],
)  # fmt: skip
def test_the_message_has_the_form_that_the_template_takes(template: Any, text: str, right: str) -> None:
    prompt = model_with(template).prompt(text, chat=None)
    assert (prompt.text, prompt.special, prompt.message) == (right, False, text)


def test_named_templates_without_a_default_count_as_no_template_unless_chat_is_on() -> None:
    model = model_with({"tool_use": PLAIN, "rag": PLAIN})
    assert not model.has_chat_template
    assert model.prompt("hello", chat=None).text == "hello"
    assert "only rag, tool_use" in refusal(model, use=True)
