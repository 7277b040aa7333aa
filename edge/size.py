"""How large a request may be."""

from typing import Final

MAX_REQUEST_BYTES: Final = 1024 * 1024
"""Of a GraphQL request, as an HTTP body and as a WebSocket message."""
