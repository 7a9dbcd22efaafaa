"""confcar's tests: `unit` needs nothing, `integration` real servers, `docs` checks the documentation against the code."""
