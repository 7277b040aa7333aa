"""The use cases: each is one function and one transaction. They know neither GraphQL nor Starlette."""
