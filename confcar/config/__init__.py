"""The config file: its models, and errors that say file, line and column.

`types` holds the field types, `sources` and `bundles` the models, `settings` the whole and `load` the way in. Nothing
here reads a source or writes a file. Everything is frozen; durations are float seconds and paths absolute from here on.
"""
