"""The gateways that there are, a line each; an integration is of the only provider for now."""

from typing import Final

from gateways.base import Gateway
from gateways.stripe.gateway import STRIPE

GATEWAYS: Final[tuple[Gateway, ...]] = (STRIPE,)

(GATEWAY,) = GATEWAYS
"""The gateway of every integration, as long as there is one."""
