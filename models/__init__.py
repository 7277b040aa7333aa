"""Nouns and their rules: tables, the state machine, money, secrets, and what an event does to an invoice."""
