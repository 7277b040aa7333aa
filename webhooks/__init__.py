"""What other systems post to us: plain ASGI endpoints that verify, keep, apply and acknowledge."""
