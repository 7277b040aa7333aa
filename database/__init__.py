"""The database: connections, write transactions, and the differences between the two dialects."""
