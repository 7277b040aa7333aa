"""The GraphQL layer on real databases; what goes over the wire is tested with a server of its own."""
