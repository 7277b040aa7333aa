"""The `Gateway` of Stripe."""

from typing import Final

from gateways.base import Gateway
from gateways.stripe import currencies, events, signature

STRIPE: Final = Gateway(
    name="stripe",
    read=events.read,
    reader_version=events.READER_VERSION,
    session_event=events.session_event,
    verify=signature.verify,
    could_sign=signature.could_sign,
    examine=signature.examine,
    event_types=events.HANDLED,
    step_of=currencies.step_of,
    is_chargeable=currencies.is_chargeable,
)
