"""Telling the primary that its files changed: by a signal, by HTTP or by a command.

`base` says what a reloader is and makes one, `delivery` runs a bundle's reloaders in order. Nothing here waits for a
next attempt: when to try again is the pipeline's.
"""
