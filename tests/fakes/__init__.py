"""Stand-ins for what no server can be made to do; each passes the same contract tests as the real thing."""
