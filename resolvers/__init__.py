"""Verbs: one use case is one function is one transaction. Knows neither GraphQL nor Starlette."""
