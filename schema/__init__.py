"""GraphQL names and shapes: types, unions of problems, the HTTP and WebSocket views."""
