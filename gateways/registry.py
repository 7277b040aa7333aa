"""All gateways, a line each. There is only one provider for now."""

from typing import Final

from gateways.base import Gateway
from gateways.stripe.gateway import STRIPE

GATEWAYS: Final[tuple[Gateway, ...]] = (STRIPE,)

(GATEWAY,) = GATEWAYS
"""The gateway of every integration, while there is only one."""
