"""Payment providers: one interface, and an implementation for each provider."""
