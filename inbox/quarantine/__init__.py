"""What can't be verified yet: kept, and released once a secret fits."""
