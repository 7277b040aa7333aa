"""Random histories of the books: what Stripe tells, a model that counts sets of it, and books that see an order."""
