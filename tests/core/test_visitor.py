"""What makes addresses one visitor's."""

from __future__ import annotations

import pytest

from kvdemo.core.visitor import one_visitors


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("2001:db8:1::1", "2001:db8:1:ffff::1"),  # a /48, with 256 of /56 and 65,536 of /64 in it
        ("2001:DB8:1:2::1", "2001:db8:1:2::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("fe80::1%eth0", "fe80::2"),
    ],
)
def test_all_addresses_that_one_visitor_has_count_as_one(address: str, same: str) -> None:
    assert one_visitors(address) == one_visitors(same)


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("2001:db8:1::1", "2001:db8:2::1"),
        ("203.0.113.7", "203.0.113.8"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.8"),
        ("::1", "::2"),
        ("testclient", ""),
    ],
)
def test_addresses_of_two_visitors_stay_two(address: str, other: str) -> None:
    assert one_visitors(address) != one_visitors(other)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "203.0.113.7", "testclient", ""])
def test_other_addresses_and_this_machines_stay_as_they_are(address: str) -> None:
    assert one_visitors(address) == address
