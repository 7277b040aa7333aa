"""The client of Stripe's API: all requests that the product sends to it."""

from gateways.stripe.endpoint_calls import EndpointCalls
from gateways.stripe.event_calls import EventCalls
from gateways.stripe.key_calls import KeyCalls
from gateways.stripe.link_calls import LinkCalls


class StripeGateway(KeyCalls, LinkCalls, EventCalls, EndpointCalls):
    """Calls Stripe's API, and raises its errors as ours."""
