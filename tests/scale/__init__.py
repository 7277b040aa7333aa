"""What everything costs in a large workspace, counted in rows, not in seconds."""
