"""Queries answered by plans: a document is compiled once, and then answers level by level instead of field by field.

A plan only ever answers what has no error in it. What it can't do, and whatever raises, graphql-core answers instead.
"""
