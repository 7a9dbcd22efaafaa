"""The config file: its models, and errors that say file, line and column.

`types` holds the field types, `sources` and `bundles` the models, `settings` the whole and `load` the way in. Nothing
here reads a source or writes a file. Everything is frozen; durations are float seconds and paths absolute from here on.
"""

from __future__ import annotations

from confcar.deferred import defer

# pydantic-settings imports it for command lines of its own making: 1.4 MiB and 20 ms, for every pod.
defer("asyncio")
