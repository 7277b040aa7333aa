"""The log as it is followed, and the bus that wakes whoever follows it."""
