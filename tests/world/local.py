"""HTTP to this machine."""

import ssl
from typing import Any, Final

LOCAL: Final[dict[str, Any]] = {"trust_env": False, "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
"""What httpx is told in tests: no proxy, and no certificates, which each client would read anew for 40 ms of CPU."""
