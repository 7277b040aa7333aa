"""Payment links: makes them, closes them and tracks their state."""
