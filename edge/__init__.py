"""Where HTTP comes in: the server, request ids, logs, metrics and health. Knows nothing of what is served."""
