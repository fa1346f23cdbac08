"""Identify who asks for a run, so that visitors share no kept data and no visitor takes all places."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache


@dataclass(frozen=True)
class Visitor:
    """Who asks for a run.

    session    of an open page, or a program's; "" where there is none
    address    of the machine that asks; "" for this machine, and where it is not known; no log has it
    keeps      whether what a race keeps is there for the session's next one: so it is for a page, until it is closed
    arrival    number of the request among all of the server, by which runs wait (`server.line`); None: at the end
    """

    session: str = ""
    address: str = field(default="", repr=False)
    keeps: bool = False
    arrival: int | None = field(default=None, compare=False)


NOBODY = Visitor()
#: The first bits of an IPv6 address, which all of one visitor's have in common. Providers give each customer a /48, or
#: a /48 to firms and a /56 to homes (RIPE-690, section 4.2). Of such homes 256 count as one here, and share what those
#: share who have one IPv4 address by their provider's translation. With 56, one visitor with a /48 would count as 256.
IPV6_BITS = 48


@lru_cache(maxsize=2000)
def one_visitors(address: str) -> str:
    """Return what an address has in common with all those that one visitor may well have.

    Whoever has an IPv6 address may have all of its network (`IPV6_BITS`). An IPv4 address may come written as one.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.version == 4 or ip.is_loopback:
        return address
    return str(ip.ipv4_mapped or ipaddress.IPv6Network((int(ip), IPV6_BITS), strict=False))
