"""List example prompts and races. Each of them makes something visible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kvdemo.core.settings.race import DEFAULT_PROMPT

_STORY = (
    "The lighthouse keeper kept two notebooks. In the first he wrote what the sea did: the height of the swell, the "
    "colour of the water at noon, the hour at which the fog came in. In the second he wrote what he remembered, so "
    "that he would not have to read the first one again. Every evening he sat down to write one more line, and every "
    "evening he had a choice. He could read the whole first notebook from the beginning, as he had done in his first "
    "year, and only then add his line; or he could open the second one, look up the few things he needed, and be done "
    "before the lamp had to be lit. For a week the difference was small. After a month it was an hour. After a year "
    "he could no longer have finished the reading before the next evening came. "
)

_RELIEF = (
    "In spring a second keeper came to relieve him for a month. She found the lamp clean, the first notebook on the "
    "table and the second one locked in a drawer, and at first she took it for unkindness. When he returned she asked "
    "him for the reason. He said that a stranger who opens a notebook and finds the page he wants at once has learnt "
    "two things: what is written there, and that somebody needed it before him. So each keeper was given a drawer and "
    "a notebook of his own, and when a keeper left the island for good, his drawer was emptied before the boat had "
    "passed the rocks. It cost them some reading. On the first evening everyone had to go through the whole of the "
    "first notebook once. From the second evening on it was a matter of minutes again, for what had been read was "
    "remembered, and only the newest lines were still unread. "
)
_DOCUMENT = f"{_STORY.strip()}\n\n{_RELIEF.strip()}\n\n"


@dataclass(frozen=True)
class Example:
    """A prompt, the chip that stands for it, and the reason to try it.

    `lanes` are those that it needs, as a link writes them; None leaves the visitor's own. So do the settings of a race
    that are not among its `settings`.
    """

    label: str
    text: str
    why: str
    lanes: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def form(self) -> dict[str, Any]:
        """What it fills in, by the key of the setting."""
        lanes = {} if self.lanes is None else {"strategies": self.lanes}
        return {"prompt": self.text, **lanes, **self.settings}


#: Lanes that say nothing else take the likeliest token.
_GREEDY = {"temperature": 0.0, "top_p": 1.0, "max_new_tokens": 128}


EXAMPLES: tuple[Example, ...] = (
    Example(
        "Question", DEFAULT_PROMPT, "A plain question. The lanes write the same text; only the work for it differs."
    ),
    Example(
        "Drift",
        "Explain what a key-value cache is in a transformer.",
        "Text is no faithful carrier of tokens: two line breaks that were written as two tokens are read back as one. "
        "So the lane that works on text goes on from other tokens than it wrote. This is not the cache's doing.",
    ),
    Example(
        "Emoji",
        "Write three short weather reports that use only emoji, such as ☀️🌧️⛄, one for each day.",
        "An emoji is often several tokens. Until the last of them arrives there is no character to show.",
    ),
    Example(
        "中文",
        "请用三句话解释为什么大语言模型需要键值缓存。",
        "Few characters, many tokens: a tokenizer trained on English cuts Chinese into bytes.",
    ),
    Example(
        "Long",
        _STORY * 3 + "\n\nIn one sentence: why did the keeper need the second notebook?",
        "Hundreds of prompt tokens. Without a cache every new token pays for all of them again.",
    ),
    Example(
        "Turn 1",
        f"{_DOCUMENT}In one sentence: why did the keeper need the second notebook?",
        "A document and a question. When the race is over, its keys and values are kept for the next race of this "
        "page: that is turn 2.",
        lanes="dynamic_cache,prefix_cache",
    ),
    Example(
        "Turn 2",
        f"{_DOCUMENT}In one sentence: why was each keeper given a drawer of his own?",
        "To race after turn 1: the same document with another question. What both begin with is not run again, so the "
        "first token comes sooner.",
        lanes="dynamic_cache,prefix_cache",
    ),
    Example(
        "Greedy, 0.7, 1.5",
        "Write a short story about a dragon who is afraid of the dark.",
        "One cache, three temperatures. The first lane takes the likeliest token always; the higher the temperature, "
        "the more often an unlikely one is drawn.",
        lanes="dynamic_cache,dynamic_cache:temperature=0.7,dynamic_cache:temperature=1.5",
        settings=_GREEDY,
    ),
    Example(
        "Beams",
        "Write one sentence about the moon.",
        "Greedy against beams. Greedy decoding takes the likeliest token at each step. Beam search follows several "
        "texts, keeps those that are likeliest as a whole, and computes a row for each of them.",
        lanes="dynamic_cache,beam_search",
        settings=_GREEDY | {"max_new_tokens": 48},
    ),
    Example(
        "Nucleus, min-p",
        "Write a short story about a dragon who is afraid of the dark.",
        "Nucleus against min-p, both drawn at temperature 1.5. Top-p keeps the likeliest tokens that have 90% of the "
        "probability together; where the model is unsure, those are many. Min-p keeps the tokens at least a tenth as "
        "likely as the likeliest.",
        lanes="dynamic_cache:temperature=1.5:top_p=0.9,dynamic_cache:temperature=1.5:min_p=0.1",
        settings=_GREEDY,
    ),
    Example(
        "Greedy loops",
        "Write a poem about the sea.",
        "A line that stands in the text makes the same line likelier, and greedy decoding takes the likeliest: it goes "
        "round. A repetition penalty of 1.2 makes every token less likely that the text has already.",
        lanes="dynamic_cache,dynamic_cache:repetition_penalty=1.2",
        settings=_GREEDY,
    ),
)
