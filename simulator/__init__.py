"""A stand-in for Stripe over real HTTP: its API, its hosted payment page and its webhooks, in memory."""
