"""Tests of `inbox`."""
