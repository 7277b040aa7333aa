"""How rows are read for a page: many with one query, a part at a time."""
