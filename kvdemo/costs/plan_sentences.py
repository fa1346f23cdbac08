"""Write a plan in sentences: what is kept, what fits, how fast, and what the figures leave out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kvdemo.core.figures import units
from kvdemo.costs import unused_windows
from kvdemo.costs.architecture import Architecture, LayerCache


def headline(document: Mapping[str, Any]) -> str:
    """Write the plan in one sentence: what a token costs, and what fits."""
    settings, fit = document["settings"], document["fit"]
    name = document["model"]["name"].rstrip("/").rpartition("/")[2] or document["model"]["name"]
    a_token = units.amount(document["cache"]["bytes_per_token"], "B")
    cost = f"{name} in {settings['dtype']}: {a_token} of cache a token"
    memory = units.amount(settings["memory_bytes"], "B")
    if not fit["weights_fit"]:
        weights = units.amount(document["weights"]["bytes"], "B")
        return f"{cost}, but its weights alone, {weights}, do not fit into {memory}."
    if fit["largest_context"] is None:
        return f"{cost}, up to a limit; beside its weights {memory} hold any context."
    return f"{cost}; {memory} hold {units.count(fit['largest_context'], 'token')} beside its weights."


def sentences(document: Mapping[str, Any], arch: Architecture, repeats: int) -> list[str]:
    """Write the plan in sentences: what is kept, what fits, how fast."""
    said = [_attention(arch), _layers(arch), *_published(document, arch)]
    if repeats > 1:
        said.append(
            f"transformers keeps each key-value head {repeats} times, once for every query head that shares it, and "
            f"needs {units.amount(document['cache']['repeated_bytes_per_token'], 'B')} a token; counted here is one."
        )
    if arch.active_parameters < 0.8 * arch.parameters:
        most = arch.active_parameters + arch.spare_parameters
        every, active, at_most = (units.figures(n / 1e9) for n in (arch.parameters, arch.active_parameters, most))
        read = f"{active} to {at_most} billion" if arch.spare_parameters else f"{active} billion"
        said.append(f"Of {every} billion parameters, {read} are read for a token; all of them must be in memory.")
    return [*said, *_fitting(document, arch), _growth(document), _speed(document), *_sparse(arch)]


def _published(document: Mapping[str, Any], arch: Architecture) -> list[str]:
    """Say that the weights were published in another format than the figures are for."""
    if arch.published is None:
        return []
    of, size = arch.published, arch.published.bytes
    bits = f", {of.bits} bits" if of.bits else ""
    said = (
        f"The published weights are quantised ({of.method}{bits}); the figures here are for the same weights in "
        f"{document['settings']['dtype']}"
    )
    if size is None:
        return [f"{said}. How many bytes they have as published is not known."]
    return [f"{said}. As published they have about {units.amount(size, 'B')}: an estimate from the configuration."]


def _attention(arch: Architecture) -> str:
    keeping = [layer for layer in arch.layers if layer.kv_heads]
    width = _widths(keeping)
    heads = " or ".join(map(str, arch.all_heads))
    match arch.attention:
        case "latent":
            ranks = _either(layer.head_dim for layer in keeping)
            return (
                f"Latent attention: for all {heads} heads together a layer keeps {ranks} numbers a position, from "
                f"which keys and values are computed again{_places(keeping)}."
            )
        case "multi-head":
            return f"Multi-head attention: each of the {heads} heads keeps keys and values of its own, {width} wide."
        case "multi-query":
            return f"Multi-query attention: all {heads} query heads share one key-value head, {width} wide."
        case _:
            of = {count: [x for x in keeping if x.kv_heads == count] for count in sorted({x.kv_heads for x in keeping})}
            alike = len({_widths(layers) for layers in of.values()}) == 1
            shared = " or ".join(
                f"{count}" if alike else f"{count} ({_widths(layers)} wide)" for count, layers in of.items()
            )
            of_all = f", {width} wide" if alike else ""
            return f"Grouped-query attention: {heads} query heads share {shared} key-value heads{of_all}."


def _places(layers: Sequence[LayerCache]) -> str:
    """Write how many numbers layers with a latent keep for a position's place; nothing where none keeps any."""
    wide = sorted({layer.value_dim for layer in layers} - {0})
    telling = sum(layer.value_dim > 0 for layer in layers)
    where = "" if telling == len(layers) else f" in {telling} of {len(layers)} layers"
    return f", and{where} {' or '.join(map(str, wide))} that tell where it is" if wide else ""


def _either(numbers: Iterable[int]) -> str:
    return " or ".join(map(str, sorted(set(numbers))))


def _widths(layers: Sequence[LayerCache]) -> str:
    """Write how wide keys are, and values where they differ: "256", "192 and 128", "256 or 512" where layers differ."""
    widths = sorted({(layer.head_dim, layer.value_dim) for layer in layers})
    return " or ".join(f"{key}" if key == value else f"{key} and {value}" for key, value in widths)


def _layers(arch: Architecture) -> str:
    groups = Counter(map(_keeps, arch.layers))
    if len(groups) == 1:
        return f"All {len(arch.layers)} layers keep {next(iter(groups))}."
    parts = [f"{count} {'keeps' if count == 1 else 'keep'} {what}" for what, count in groups.most_common()]
    return f"Of {len(arch.layers)} layers, {', '.join(parts[:-1])} and {parts[-1]}."


def _keeps(layer: LayerCache) -> str:
    constant = layer.state_elements + layer.float32_elements
    kept = []
    if layer.kind == "full":
        kept.append("every position" if layer.kv_heads else "an indexer's keys of every position")
    if layer.window is not None:
        kept.append(f"the last {units.count(layer.window, 'position')}")
    if constant:
        kept.append(f"a state of {constant:,} numbers, however long the text is")
    return " and ".join(kept) or "nothing"


def _fitting(document: Mapping[str, Any], arch: Architecture) -> list[str]:
    fit, settings = document["fit"], document["settings"]
    weights = units.amount(document["weights"]["bytes"], "B")
    memory = units.amount(settings["memory_bytes"], "B")
    if not fit["weights_fit"]:
        return [f"The weights alone do not fit: they need {weights} in {settings['dtype']}, and there are {memory}."]
    free = units.amount(fit["free_bytes"], "B")
    said = [f"Beside {weights} of weights, {memory} of memory leave {free} for the cache."]
    longest = fit["largest_context"]
    if longest is None:
        said.append(f"The cache stops growing, so that no context is too long for the memory{_made_for(arch)}.")
    elif longest == 0:
        said.append("Not one position fits beside the weights.")
    else:
        made_for = arch.context_length
        beyond = f", more than the {made_for:,} that the model was made for" if made_for and longest > made_for else ""
        said.append(f"One sequence can be {units.count(longest, 'position')} long{beyond}.")
    several = units.count(fit["largest_batch"], "sequence")
    does = "does" if settings["batch"] == 1 else "do"
    asked = "" if fit["fits"] else f"; {settings['batch']:,} {does} not fit"
    fits = "fits" if fit["largest_batch"] == 1 else "fit"
    said.append(f"At a context of {settings['context']:,}, {several} {fits}{asked}.")
    return said


def _made_for(arch: Architecture) -> str:
    """Write where the model ends, whatever the memory holds; and that no window is full before, where that is so."""
    if not arch.context_length:
        return ""
    said = f", but the model was made for {arch.context_length:,} positions"
    full = max((layer.window or 0 for layer in arch.layers), default=0)
    return said + (", before which the windows are not full" if full >= arch.context_length else "")


def _growth(document: Mapping[str, Any]) -> str:
    cache = document["cache"]
    a_token = units.amount(cache["bytes_per_token"], "B")
    if cache["bytes_per_token_past_windows"] < cache["bytes_per_token"]:
        after = (
            units.amount(cache["bytes_per_token_past_windows"], "B") if cache["bytes_per_token_past_windows"] else ""
        )
        a_token += f" until the sliding windows are full, then {after or 'nothing'}"
    at = cache["outgrows_weights_at"]
    if at is None:
        return f"Each token adds {a_token}; the cache never outgrows the weights."
    return f"Each token adds {a_token}; at {at:,} positions one sequence's cache is larger than all the weights."


def _speed(document: Mapping[str, Any]) -> str:
    decode, settings = document["decode"], document["settings"]
    of = "" if settings["batch"] == 1 else f" for each of {settings['batch']:,} sequences"
    return (
        f"Predicted: a step reads {units.amount(decode['bytes_read'], 'B')} and takes at least "
        f"{units.seconds(decode['ms_per_token'] / 1000)}, so at most "
        f"{units.figures(decode['tokens_per_s'])} tokens/s{of}."
    )


def _sparse(arch: Architecture) -> list[str]:
    """Say what a step is counted to read where an indexer chooses the positions that are looked at."""
    if arch.indexer is None:
        return []
    chosen = arch.indexer.chosen
    number = "a number that its configuration does not tell, counted as 1" if chosen is None else f"{chosen:,}"
    count = sum(layer.sparse and layer.kv_heads > 0 for layer in (*arch.layers, *arch.borrowed))
    own = "all of the indexer's keys" if arch.indexer.products else "none of the indexer's keys, which may be pooled"
    return [
        f"An indexer chooses the positions that a query looks at in {units.count(count, 'layer')}: {number}. Of those "
        f"alone the step reads keys and values, and {own}; transformers reads all that is kept and masks the rest, so "
        "its steps take longer for that, too."
    ]


def notes(document: Mapping[str, Any], arch: Architecture) -> list[str]:
    """List what the figures leave out and what they assume."""
    settings = document["settings"]
    said = [
        "Sums of weights and cache alone: nothing is added for activations, libraries or an allocator's unused memory.",
        "GB are 10⁹ bytes; GiB, 2³⁰ bytes, are 7 % larger.",
        "A step reads all the weights that take part, once: tables of which one row is looked up are left out.",
        "The floor is what memory bandwidth allows: launching operations, arithmetic and sampling come on top.",
    ]
    if settings["cache_dtype"] != settings["dtype"]:
        said.append(
            f"Weights in {settings['dtype']}, the cache in {settings['cache_dtype']}; the scales of quantised numbers "
            "are not counted."
        )
    if arch.text_part:
        said.append(
            "The model is for more than text: counted is the part that continues text; what reads pictures or sound "
            "comes on top."
        )
    if arch.context_length and settings["context"] > arch.context_length:
        said.append(
            f"The context of {settings['context']:,} is beyond the {arch.context_length:,} that the model was made for."
        )
    if any(layer.window for layer in arch.layers):
        said.append(
            "A sliding window of W positions includes the newest one, which comes with its own step: W - 1 are kept."
        )
    if arch.unused_windows:
        said.append(unused_windows.sentence(arch.name, arch.unused_windows, len(arch.layers)))
    if settings["batch"] > 1 and arch.active_parameters < 0.8 * arch.parameters:
        said.append(
            "A mixture of experts reads more for a batch than for one token; the floor counts one token's experts."
        )
    if arch.spare_parameters:
        said.append(
            "A token may be sent to fewer experts than are chosen for it, as some choices stand for no weights; the "
            "floor counts the fewest."
        )
    return said
