"""The large trials: small counts in the integration tests, the full ones by `make soak`, the same code for both."""
