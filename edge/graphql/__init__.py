"""GraphQL's protocols: HTTP, WebSocket, and streams."""
