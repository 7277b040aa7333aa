"""Following the log, and the bus that wakes followers."""
