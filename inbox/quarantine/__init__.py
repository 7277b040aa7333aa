"""Deliveries that can't be verified yet: stored here, and released once a saved secret verifies them."""
