"""The nouns, as the API shows them."""
