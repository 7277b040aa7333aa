"""Stripe integrations, from connecting to disconnecting."""
