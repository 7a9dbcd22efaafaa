"""The admin side: probes, status and metrics over HTTP. Reads the status board, never the daemon."""
