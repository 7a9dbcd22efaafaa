"""Watchers follow sources: `base` says what one is, `follow` repeats it, one module per type of source does the reading."""
