"""Where HTTP comes in: the server, request ids, logs, metrics and health; edge/graphql alone knows what is served."""
