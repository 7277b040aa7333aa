"""The nouns and their rules, and the database beneath them."""
