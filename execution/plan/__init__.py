"""Executes queries by plans: a document is compiled once, then executed level by level instead of field by field.

A plan answers only queries without errors. graphql-core executes the others, and those that raise.
"""
