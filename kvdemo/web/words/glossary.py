"""Define the words of the page's texts. The browser marks the first of each in a text, and explains it there.

Figures are defined in `kvdemo/web/words/figures.py`; a word may lead to one of these too.
"""

from __future__ import annotations

GLOSSARY: dict[str, dict[str, str]] = {
    "kv_cache": {
        "name": "KV cache",
        "long": "Key-value cache",
        "text": "The keys and values of all positions so far, kept for each layer. With it, a step runs the newest "
        "token alone; without it, the whole text again.",
        "also": "past_key_values",
    },
    "token": {
        "name": "token",
        "long": "Token",
        "text": "The piece of text that a model reads and writes at once: a word, a part of one, or a part of a "
        "character. Each has a number, its id.",
        "also": "",
    },
    "position": {
        "name": "position",
        "long": "Position",
        "text": "The place of one token in the text. Running a position means computing its state in every layer; the "
        "work of a step is the number of positions that it runs.",
        "also": "",
    },
    "key": {
        "name": "key",
        "long": "Key",
        "text": "What a position shows to all later ones in a layer. Their queries are compared with it, which decides "
        "how much they read there. It never changes, so it can be kept.",
        "also": "K",
    },
    "value": {
        "name": "value",
        "long": "Value",
        "text": "What later positions take over from a position in a layer, by as much as its key matched. It never "
        "changes, so it can be kept.",
        "also": "V",
    },
    "query": {
        "name": "query",
        "long": "Query",
        "text": "What a position asks of those before it in a layer. It is used once, when its own position is "
        "computed, so nothing is gained by keeping it.",
        "also": "Q",
    },
    "attention": {
        "name": "attention",
        "long": "Attention",
        "text": "The part of a layer in which a position reads others: its query is compared with their keys, and "
        "their values are added up by how well they match.",
        "also": "",
    },
    "causal": {
        "name": "causal",
        "long": "Causal model",
        "text": "A position reads itself and what stands before it, never what follows. So nothing that is appended "
        "changes the past, which is why keys and values may be kept.",
        "also": "",
    },
    "layer": {
        "name": "layer",
        "long": "Layer",
        "text": "One of the equal blocks that a text goes through in turn. Each has keys and values of its own.",
        "also": "block",
    },
    "kv_heads": {
        "name": "KV heads",
        "long": "Key-value heads",
        "text": "How many keys and values a layer keeps for each position. In many models several query heads share "
        "one, which makes the cache smaller.",
        "also": "num_key_value_heads; GQA",
    },
    "head_dim": {
        "name": "head_dim",
        "long": "Head size",
        "text": "How many numbers a key has, and a value, in one head.",
        "also": "",
    },
    "pass": {
        "name": "forward pass",
        "long": "Forward pass",
        "text": "One run of some positions through all layers. It reads every weight once, for one position as for "
        "many.",
        "also": "",
    },
    "baseline": {
        "name": "baseline",
        "long": "Baseline",
        "text": "The first lane. The others are compared with it.",
        "also": "",
    },
    "greedy": {
        "name": "greedy",
        "long": "Greedy decoding",
        "text": "The likeliest token is taken each time, so the same text comes out each time.",
        "also": "do_sample=False",
    },
    "logprob": {
        "name": "log-probability",
        "long": "Log-probability",
        "text": "The natural logarithm of the probability that the model gives a token, before any rule for choosing "
        "applies: 0 for a certain one, and 0.69 less for each time that it is half as likely.",
        "also": "logprob",
    },
    "rounding": {
        "name": "rounding",
        "long": "Rounding",
        "text": "A sum of floating-point numbers depends on their order in its last digits. With and without a cache "
        "the order differs, so scores differ a little; where two tokens are nearly equal, another one wins.",
        "also": "",
    },
    "draft": {
        "name": "draft",
        "long": "Draft tokens",
        "text": "Tokens that something cheap guesses ahead. The model checks all of them in one pass, and keeps the "
        "right ones.",
        "also": "num_speculative_tokens in vLLM",
    },
    "acceptance": {
        "name": "acceptance",
        "long": "Acceptance",
        "text": "The share of the drafted tokens that the model would have written itself. Only those count.",
        "also": "acceptance rate",
    },
    "beam": {
        "name": "beam",
        "long": "Beam",
        "text": "One of the texts that a search follows at the same time. It has a cache of its own.",
        "also": "",
    },
    "bandwidth": {
        "name": "bandwidth",
        "long": "Memory bandwidth",
        "text": "Bytes that a device can read from its memory in a second. A step over one position reads all weights "
        "for it, so this is its limit more often than arithmetic.",
        "also": "",
    },
    "kernel": {
        "name": "kernel",
        "long": "Kernel",
        "text": "One operation on a GPU. The host launches hundreds of them in each step, whatever the number of "
        "positions.",
        "also": "",
    },
    "cuda_graph": {
        "name": "CUDA graph",
        "long": "CUDA graph",
        "text": "A recorded series of operations that the GPU replays after a single launch.",
        "also": "",
    },
    "retokenize": {
        "name": "read back",
        "long": "Text is no faithful carrier of tokens",
        "text": "Text can be cut into tokens in several ways. What a model wrote as two tokens can come back as one, "
        "and then it reads another text than it wrote.",
        "also": "",
    },
    "eos": {
        "name": "end of text",
        "long": "End-of-text token",
        "text": "The token by which a model says that its answer is over.",
        "also": "EOS",
    },
}

#: How texts spell a word: the key of its entry, here or among the figures.
WORDS: dict[str, str] = {
    "KV cache": "kv_cache",
    "key-value cache": "kv_cache",
    "token": "token",
    "tokens": "token",
    "position": "position",
    "positions": "position",
    "key": "key",
    "keys": "key",
    "value": "value",
    "values": "value",
    "query": "query",
    "attention": "attention",
    "causal": "causal",
    "layer": "layer",
    "layers": "layer",
    "KV heads": "kv_heads",
    "kv_heads": "kv_heads",
    "head_dim": "head_dim",
    "forward pass": "pass",
    "one pass": "pass",
    "baseline": "baseline",
    "greedy": "greedy",
    "greedily": "greedy",
    "log-probability": "logprob",
    "log-probabilities": "logprob",
    "mean log-probability": "mean_logprob",
    "entropy": "entropy",
    "perplexity": "perplexity",
    "distinct-2": "distinct_2",
    "repeated 4-grams": "repeated_4gram",
    "rounding": "rounding",
    "draft": "draft",
    "drafts": "draft",
    "drafted": "draft",
    "accepted": "acceptance",
    "beams": "beam",
    "bandwidth": "bandwidth",
    "kernels": "kernel",
    "CUDA graph": "cuda_graph",
    "CUDA graphs": "cuda_graph",
    "read back": "retokenize",
    "end of text": "eos",
    "prefill": "prefill",
    "decode": "decode",
    "latency": "latency",
    "ITL": "latency",
    "TTFT": "ttft",
    "time to first token": "ttft",
    "first token": "ttft",
    "TPOT": "tpot",
    "E2E": "e2e",
    "floor": "floor",
    "launching": "launch",
}
