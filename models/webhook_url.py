"""Webhook URLs: whether Stripe can reach one."""

import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit


def is_local(url: str) -> bool:
    """Whether a URL names this machine itself, so that no other machine can reach it."""
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
