"""Tests of `resolvers.reading`."""
