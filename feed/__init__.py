"""Sends the lines of the log to followers; a bus wakes those of other processes."""
