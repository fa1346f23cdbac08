"""Give a server a temporary folder of its own, and let programs start where none can be written, on a full disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

_PREFIX, _RANDOM = "kvdemo-temporary-", 8
#: What names the temporary folder to the processes that this one starts.
_VARIABLES = ("TMPDIR", "TEMP", "TMP")
#: An empty folder that has not changed for so long is one into which nobody is about to put a file.
_SETTLED_SECONDS = 60


def have_folder() -> None:
    """Name a temporary folder where Python finds none that can be written.

    Torch and Gradio ask for its name when they are imported, and most of what they are imported for writes no file.
    """
    try:
        tempfile.gettempdir()
    except OSError:
        named = [os.environ.get(variable, "") for variable in _VARIABLES]
        tempfile.tempdir = next((name for name in (*named, "/tmp") if name and Path(name).is_dir()), str(Path.cwd()))  # noqa: S108


class LockedFolder:
    """A new folder in another one, for files of this process alone, closed to other users of the machine.

    `close` removes it with all that is in it. Where this process is killed, the next one that makes such a folder in
    the same place removes what it left. Raises OSError where no folder can be made.
    """

    def __init__(self, place: Path) -> None:
        #: Since when each file has been seen as it is: its path, and when it was changed.
        self._seen: dict[tuple[Path, int], float] = {}
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

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove_old(self, seconds: float) -> None:
        """Remove the files in it that were not changed for so long, whoever wrote them, and the folders left empty.

        Counted is from the first call that has seen them so, by a clock that is never set.
        """
        before, self._seen = self._seen, {}
        for folder, _, names in os.walk(self.path, topdown=False):
            for name in names:
                self._remove_old(Path(folder, name), Path.unlink, seconds, before)
            if Path(folder) != self.path:
                self._remove_old(Path(folder), Path.rmdir, _SETTLED_SECONDS, before)

    def _remove_old(
        self, path: Path, remove: Callable[[Path], None], seconds: float, before: dict[tuple[Path, int], float]
    ) -> None:
        with contextlib.suppress(OSError):  # it is in use, a folder with something in it, or gone
            state = path, path.lstat().st_ctime_ns
            self._seen[state] = before.get(state, time.monotonic())
            if time.monotonic() - self._seen[state] >= seconds:
                remove(path)


class OwnFolder(LockedFolder):
    """The temporary folder of this process and those that it starts, in which killed ones leave their files."""

    def __init__(self) -> None:
        self._before = {name: os.environ.get(name) for name in _VARIABLES}, tempfile.tempdir
        super().__init__(Path(tempfile.gettempdir()))
        os.environ |= dict.fromkeys(_VARIABLES, str(self.path))
        tempfile.tempdir = str(self.path)

    def close(self) -> None:
        """Remove the folder, and have temporary files made where they were before."""
        before, tempfile.tempdir = self._before
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        super().close()


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
