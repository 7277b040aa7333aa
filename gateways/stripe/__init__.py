"""Stripe: only this package knows the formats of its API and its events."""
