"""The mutations, one module per noun, each with its result."""
