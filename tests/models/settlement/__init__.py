"""Tests of `models.settlement`."""
