"""confcar's tests: `unit` needs nothing, `integration` real servers, `docs` holds the documentation to the code."""
