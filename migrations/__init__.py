"""The tables, step by step. Each migration is SQL for both databases; see `migrations._sql`."""
