"""A peer: the webhook receiver of dj-stripe. It runs in an environment of its own, made from requirements.lock."""
