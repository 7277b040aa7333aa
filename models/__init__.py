"""Tables and pure rules: statuses, money, secrets, and what an event does to an invoice."""
