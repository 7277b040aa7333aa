"""Links: made, retired and spent."""
