"""What breaks around the product, and what is there afterwards: real processes, killed, cut off and starved."""
