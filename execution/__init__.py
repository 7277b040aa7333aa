"""A document becomes an answer: read once, bounded, executed, told."""
