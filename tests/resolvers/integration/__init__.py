"""Tests of `resolvers.integration`."""
