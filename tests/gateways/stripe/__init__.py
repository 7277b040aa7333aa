"""Tests of `gateways.stripe`."""
