"""What other systems post to us: routes that verify, hand to the inbox and acknowledge."""
