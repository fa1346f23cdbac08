import errno
import time

import pytest

from kvdemo.models.sources import disk_space


def test_a_growing_file_is_watched_and_a_copy_of_it_is_not_counted_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(disk_space, "SECONDS_BETWEEN_LOOKS", 0.01)
    seen = []
    with disk_space.report_growth(tmp_path, 1_000_000, "Downloading", seen.append):
        for size in (250_000, 1_000_000):
            (tmp_path / "deep").mkdir(exist_ok=True)
            (tmp_path / "deep" / "file").write_bytes(b"x" * size)
            (tmp_path / "copy").write_bytes(b"x" * (size // 2))
            time.sleep(0.1)
    fractions = list(dict.fromkeys(p.fraction for p in seen))
    assert [f for f in fractions if f in (0.0, 0.25, 1.0)] == [0.0, 0.25, 1.0]
    assert seen[0].text == "Downloading"
    assert seen[-1].text == "Downloading: 1 MB of 1 MB"
    reports = len(seen)
    time.sleep(0.05)
    assert len(seen) == reports  # nobody watches any more


def test_the_watch_ends_when_the_work_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), disk_space.report_growth(tmp_path, 10, "Downloading", lambda _: None):
        1 / 0  # noqa: B018


def test_free_space_is_checked_where_the_folder_will_be(tmp_path):
    disk_space.require_free(tmp_path / "not" / "yet" / "there", 1, "X")
    with pytest.raises(ValueError, match="needs 1,000,000,000,000 MB .* set X"):
        disk_space.require_free(tmp_path / "not" / "yet" / "there", 10**18, "X")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "writing is not permitted"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("etag is missing"), "etag is missing"),
    ],
)
def test_each_disk_error_has_a_sentence(tmp_path, error, said):
    sentence = str(disk_space.disk_error(error, tmp_path, "X"))
    assert said in sentence
    assert sentence.endswith("set X to another folder.")
