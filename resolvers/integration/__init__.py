"""An integration, from connecting to disconnecting."""
