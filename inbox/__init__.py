"""Processes every Stripe event, whether it came by webhook, sync, retry or replay."""
