"""Parses IP addresses, finds their networks, and says which of them count as one client."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache


class Networks:
    """Networks that an address may be in: `"10.0.0.1" in Networks(["10.0.0.0/8"])`."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._holds = lru_cache(4096)(self._look)

    def __contains__(self, host: str) -> bool:
        return bool(self._networks) and self._holds(host)

    def _look(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any((getattr(address, "ipv4_mapped", None) or address) in network for network in self._networks)


def address_in(text: str) -> str | None:
    """Return the IP address in a text that may have a port: `192.0.2.1:80`, `[2001:db8::1]:80`; None if it has none."""
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return None


@lru_cache(4096)
def client_of(host: str) -> str:
    """Return what counts as one client: an IPv4 address or, since a customer gets a whole one, an IPv6 /64 network."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
