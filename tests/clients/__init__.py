"""The ecosystem's own clients, on Node, against the product."""
