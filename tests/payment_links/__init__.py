"""Tests of `payment_links`."""
