"""Clients: one HTTP transport for all, and the Consul and Vault clients that are put on it."""
