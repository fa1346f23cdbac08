"""Give a server a temporary folder of its own, and let programs start where none can be written, on a full disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX, _RANDOM = "kvdemo-temporary-", 8
#: What names the temporary folder to the processes that this one starts.
_VARIABLES = ("TMPDIR", "TEMP", "TMP")


def have_folder() -> None:
    """Name a temporary folder where Python finds none that can be written.

    Torch and Gradio ask for its name when they are imported, and most of what they are imported for writes no file.
    """
    try:
        tempfile.gettempdir()
    except OSError:
        named = [os.environ.get(variable, "") for variable in _VARIABLES]
        tempfile.tempdir = next((name for name in (*named, "/tmp") if name and Path(name).is_dir()), str(Path.cwd()))  # noqa: S108


class OwnFolder:
    """The temporary folder of this process and those that it starts, closed to other users of the machine.

    A process that is killed in the middle of its work leaves its files here, and `close` removes them all. Where this
    process is killed itself, the next one that takes such a folder removes what it left. Raises OSError where no
    folder can be made.
    """

    def __init__(self) -> None:
        self._before = {name: os.environ.get(name) for name in _VARIABLES}, tempfile.tempdir
        place = Path(tempfile.gettempdir())
        _sweep(place)
        while True:
            self.path, self._lock = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place)), None
            try:
                self._lock = _locked(self.path)
            except (BlockingIOError, FileNotFoundError):  # another process took it for one that was left
                continue
            except OSError:  # no folder can be locked there, and none is removed for another
                break
            break
        os.environ |= dict.fromkeys(_VARIABLES, str(self.path))
        tempfile.tempdir = str(self.path)

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        before, tempfile.tempdir = self._before
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(folder: Path) -> int:
    """Lock a folder for as long as this process lives. Raises OSError where that cannot be, or another has done so.

    What tidies up a machine's temporary files leaves such a folder alone, too (systemd-tmpfiles does).
    """
    if os.name == "nt":
        raise OSError("folders cannot be locked")
    import fcntl  # noqa: PLC0415 - not on Windows

    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.stat()
    except OSError:
        os.close(lock)
        raise
    return lock


def _sweep(place: Path) -> None:
    """Remove the folders of processes that were killed."""
    for folder in place.glob(_PREFIX + "?" * _RANDOM):
        with contextlib.suppress(OSError):
            lock = _locked(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
