"""Callers of a schema, in this process."""

from tests.support.callers import admin, reader, rows, services, stranger, workspace  # noqa: F401 - fixtures
