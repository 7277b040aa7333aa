"""Who gets at what: nobody at another workspace's things, a key at no more than its scopes, and secrets at nothing."""
