"""Tell which weights of a network one decoding step reads, for one token of text: not all that are held.

Not read are tables of which one row is looked up, the experts that the token is not sent to, and what is for pictures
and sound.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from kvdemo.core.errors import BadInput
from kvdemo.models.facts import config_numbers, meta_run
from kvdemo.models.facts.meta_run import TextPass, Trial

NOTHING_KNOWN = TextPass(frozenset(), frozenset())
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")


def text_parts(network: PreTrainedModel) -> list[nn.Module]:
    """Find the modules that continue text: the decoder, the projection onto the vocabulary, and what is between them.

    Classes like BERT's have a dense layer there. It is found where the model is for text alone: beside the decoder of
    another there are parts that text passes by.
    """
    head, decoder = network.get_output_embeddings(), network.get_decoder()
    if decoder is head:  # ModernBERT calls its vocabulary projection so
        decoder = network.base_model
    parts = [decoder] if head is None else [decoder, head]
    config = network.config
    if config.sub_configs or config.get_text_config(decoder=True) is not config:
        return parts
    inside = {*decoder.modules()}  # for some classes that is the whole network
    return parts + [child for child in network.children() if child not in inside and decoder not in child.modules()]


def text_modules(network: PreTrainedModel, name: str) -> list[nn.Module]:
    """List the modules of a loaded model that continue text, each once; `name` as in `read_bytes`."""
    decoder = text_parts(network)[0]
    idle = {module for path in text_pass(network, name).idle for module in _at(decoder, path).modules()}
    modules = dict.fromkeys(module for part in text_parts(network) for module in part.modules())
    return [module for module in modules if module not in idle]


def linear_layers(network: PreTrainedModel, name: str) -> list[nn.Linear]:
    """List the linear layers among `text_modules`."""
    return [module for module in text_modules(network, name) if isinstance(module, nn.Linear)]


def idle_weights(network: PreTrainedModel, seen: TextPass) -> set[nn.Parameter]:
    """Return the weights of the parts that text passes by."""
    decoder = text_parts(network)[0]
    return {weight for path in seen.idle for weight in _at(decoder, path).parameters()}


def read_bytes(network: PreTrainedModel, name: str) -> int:
    """Add up the bytes of the weights that a step of a loaded model reads, in the number formats they are held in.

    Raises BadInput, one sentence about the model `name`, where its configuration does not say how many experts.
    """
    return add_up(network, text_pass(network, name), lambda weight: weight.nbytes, name)


def text_pass(network: PreTrainedModel, name: str) -> TextPass:
    """Find which weights of a loaded model a pass over text uses.

    All of a model for text alone without experts, unless it is the half of one that may look at an encoder's text too
    (BART's). Another is tried once, in up to a second; nothing is known where that fails.
    """
    half = getattr(network.config, "is_decoder", False)
    if not (half or network.config.sub_configs) and next(expert_weights(network), None) is None:
        return NOTHING_KNOWN
    try:
        kind = type(network)
        return _tried(kind, network.config.to_json_string(use_diff=False), name)  # type: ignore[arg-type]
    except BadInput:
        return NOTHING_KNOWN


@functools.lru_cache(maxsize=16)
def _tried(kind: type[PreTrainedModel], config: str, name: str) -> TextPass:
    """Try a model of this configuration, which is written as JSON; kept, because lanes ask while a clock runs."""
    made = meta_run.try_build(name, lambda: kind.config_class.from_dict(json.loads(config)))
    trial = meta_run.run_trial(made, name, kind)
    return TextPass(trial.idle, trial.choices)


def repeated_parameters(network: PreTrainedModel, seen: Trial) -> int:
    """Count the weights that a position is multiplied with again, once for each time after the first.

    Zamba2's layers share blocks (arXiv:2411.15242, section 2), and HRM runs its layers in cycles (arXiv:2506.21734).
    Experts are left out: without numbers nobody knows how many positions are sent to one.
    """
    parts = text_parts(network)
    experts = {id(weight) for part in parts for weight in expert_weights(part)}
    weights = {id(weight): weight for part in parts for weight in part.parameters() if id(weight) not in experts}
    return sum(weight.numel() * max(0, seen.runs.get(key, 1) - 1) for key, weight in weights.items())


def add_up(
    network: PreTrainedModel,
    seen: TextPass,
    size: Callable[[torch.Tensor], int],
    name: str,
    parts: Sequence[nn.Module] | None = None,
    *,
    most: bool = False,
) -> int:
    """Add up the sizes of the weights that a step reads, of all that continues text or of some `parts` of it.

    A router that chooses among more than there are experts may choose what has no weights: an identity (LongCat-Flash,
    arXiv:2509.01322, section 2.1), or to skip them (ZAYA1). Counted is the least, without the experts that such may
    stand for, or with all chosen ones where the `most` is asked for. Raises BadInput as `read_bytes` does.
    """
    decoder, *heads = text_parts(network)
    parts = [decoder, *heads] if parts is None else parts
    weights = {id(weight): weight for part in parts for weight in part.parameters()}
    tied = {id(weight) for head in heads for weight in head.parameters()}
    for part in parts:
        for module in part.modules():
            if isinstance(module, nn.Embedding) and id(module.weight) not in tied:
                weights.pop(id(module.weight), None)  # one row of it is looked up
    for weight in idle_weights(network, seen):
        weights.pop(id(weight), None)
    experts = {id(weight) for part in parts for weight in expert_weights(part)}
    routed = [weight for weight in weights.values() if id(weight) in experts]
    others = sum(map(size, weights.values())) - sum(map(size, routed))
    if not routed:
        return others
    text = network.config.get_text_config(decoder=True)
    there, chosen = config_numbers.stated_experts(text, _EXPERTS), config_numbers.stated_experts(text)
    if there is None or chosen is None or chosen > there:
        raise BadInput(f"{name} is not supported: its configuration does not say how many experts a token is sent to.")
    without = max([width - there for k, width in seen.choices if k == chosen and width > there], default=0)
    sent = chosen if most else max(0, chosen - without)
    # LongCat-Flash lays out one weight for the identities too, and never reads that part.
    laid_out = [there + without if weight.shape[:1] == (there + without,) else there for weight in routed]
    return others + round(sum(size(weight) * sent / rows for weight, rows in zip(routed, laid_out, strict=True)))


def expert_weights(part: nn.Module) -> Iterator[nn.Parameter]:
    """List the weights of experts: those of parts that are named so, and JetMoE's, whose class alone is."""
    for path, module in part.named_modules():
        if "experts" in path.split(".") or type(module).__name__.endswith("ParallelExperts"):
            yield from module.parameters(recurse=False)


def _at(module: nn.Module, path: str) -> nn.Module:
    """Find a part by its path; an empty one where the module is built otherwise and has none there."""
    try:
        return module.get_submodule(path)
    except AttributeError:
        return nn.Module()
