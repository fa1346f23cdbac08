"""Run one panel as the command does, and check what must hold for every panel."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

from kvdemo.core.settings.inside import InsideRequest
from kvdemo.documents import schema
from kvdemo.inside import session, summary
from kvdemo.models.loaded import LoadedModel

TEXT = "The quick brown fox jumps over the lazy"


def shown(model: LoadedModel, panel: str, prompt: str = TEXT, **raw: Any) -> dict[str, Any]:
    """The panel's entry of a document that fits its schema and can be said in sentences."""
    request = InsideRequest.parse({"prompt": prompt, "panels": panel} | raw)
    document = session.run(request, model, lambda _: None, threading.Event())
    assert document["status"] == "done"
    schema.check(document)
    heading, *sentences, last = summary.lines(document)
    assert panel in heading and sentences and not last
    for sentence in sentences:
        assert sentence.endswith(".") and "\n" not in sentence
    return document["panels"][panel]


def state(model: LoadedModel) -> dict[str, Any]:
    """All that a panel could leave changed on a model."""
    modules = dict(model.network.named_modules())
    tensors = {**dict(model.network.named_parameters()), **dict(model.network.named_buffers())}
    return {
        "tensors": {name: (t.dtype, t.device, hashlib.sha256(_bytes(t)).hexdigest()) for name, t in tensors.items()},
        "gradients": [name for name, weight in model.network.named_parameters() if weight.grad is not None],
        "wants gradients": [weight.requires_grad for weight in model.network.parameters()],
        "attention": model.attention,
        "training": {name: module.training for name, module in modules.items()},
        "hooks": {name: (len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in modules.items()},
        "attributes": {name: sorted(vars(module)) for name, module in modules.items()},
        "config": model.network.config.to_json_string(),
    }


def _bytes(tensor: Any) -> bytes:
    return repr(tensor.detach().cpu().double().flatten().tolist()).encode()
