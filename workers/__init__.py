"""Periodic background jobs; each run calls a service of a layer below."""
