"""Nouns and their rules: tables, the state machine, money, secrets, reading a Stripe payload."""
