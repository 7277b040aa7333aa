"""What can be changed, noun by noun: each with its result."""
