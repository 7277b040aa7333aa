"""Stripe: the only place that knows the shapes of its API and of its events."""
