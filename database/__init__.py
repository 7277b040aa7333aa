"""The database: opening it, the one way to write, and what both dialects have in common."""
