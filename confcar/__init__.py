"""confcar keeps config files in step with Vault, Consul or files, and tells the primary process to reload.

The way of the data reads top to bottom in `cli`, `daemon` and `pipeline`; ARCHITECTURE.md has the map.
This module holds the version and nothing else, so that importing it costs nothing.
"""

__version__ = "0.1.0"
