from contextlib import ExitStack

import pytest

from kvdemo.core.errors import BadInput
from kvdemo.core.visitor import NOBODY, Visitor
from kvdemo.server.admission import Admission
from kvdemo.server.limits import Limits

LIMITS = Limits(runs=6, runs_of_address=3, runs_of_session=2)


@pytest.mark.parametrize(
    ("visitor", "fits", "says"),
    [
        (Visitor("a page", "1.2.3.4"), 2, "You have 2 runs under way or waiting"),
        (Visitor("", "1.2.3.4"), 3, "3 runs from your address"),
        (NOBODY, 6, "6 runs are under way or wait on this server"),
        (Visitor("a page of this machine"), 2, "You have 2 runs"),
    ],
)
def test_a_run_beyond_the_places_is_refused_with_a_remedy(visitor: Visitor, fits: int, says: str) -> None:
    admission = Admission(LIMITS)
    with ExitStack() as held:
        for _ in range(fits):
            held.enter_context(admission.place(visitor))
        with pytest.raises(BadInput, match=says), admission.place(visitor):
            pass
        assert admission.held == fits
    assert admission.held == 0
    with admission.place(visitor):  # a place that was given back can be taken again
        assert admission.held == 1


def test_a_visitor_at_its_limit_does_not_take_places_of_others() -> None:
    admission = Admission(LIMITS)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(admission.place(Visitor("", "1.2.3.4")))
        held.enter_context(admission.place(Visitor("another page", "5.6.7.8")))
        held.enter_context(admission.place(NOBODY))
        assert admission.held == 5


def test_a_failed_run_releases_its_place() -> None:
    admission = Admission(LIMITS)
    with pytest.raises(RuntimeError), admission.place(NOBODY):
        raise RuntimeError
    assert admission.held == 0


def test_an_ipv6_visitor_has_the_places_of_one_address_whichever_of_his_own_he_uses() -> None:
    admission = Admission(LIMITS)
    with ExitStack() as held:
        for number in range(3):
            held.enter_context(admission.place(Visitor("", f"2001:db8:1:{number}::1")))
        with pytest.raises(BadInput, match="3 runs from your address"), admission.place(Visitor("", "2001:db8:1:9::1")):
            pass
        held.enter_context(admission.place(Visitor("", "2001:db8:2::1")))


def test_two_addresses_that_take_all_they_may_leave_places_for_a_third() -> None:
    admission = Admission(Limits(runs=100, runs_of_address=50))
    with ExitStack() as held:
        for address, most in (("1.2.3.4", 50), ("5.6.7.8", 25)):
            for _ in range(most):
                held.enter_context(admission.place(Visitor("", address)))
            with pytest.raises(BadInput, match=f"{most} runs from your address"), admission.place(Visitor("", address)):
                pass
        held.enter_context(admission.place(Visitor("", "9.8.7.6")))
