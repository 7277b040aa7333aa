"""The GraphQL API: types, mutations, queries and subscriptions."""

import schema.enums  # noqa: F401  (GraphQL's names for the models' enums, before any type shows one)
