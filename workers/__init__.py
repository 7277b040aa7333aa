"""What is done again and again in the background; what it does once stands below."""
