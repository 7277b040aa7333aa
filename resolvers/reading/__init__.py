"""Reads rows for pages: lists, their filters and orders, counts, sums, and loaders."""
