"""Templates: what they may call, what they read, and what they become. Opens no socket and follows nothing."""
