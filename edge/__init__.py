"""The HTTP server: connections, request ids, logs, metrics and health; only edge/graphql/ knows the product."""
