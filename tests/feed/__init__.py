"""Tests of `feed`."""
