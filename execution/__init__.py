"""Turns a document into an answer: parses, limits and executes it, and sends the results."""
