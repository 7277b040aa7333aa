"""What the simulator promises, seen over HTTP."""
