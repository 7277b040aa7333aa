"""The one way into the books: every delivery, however it reached us."""
