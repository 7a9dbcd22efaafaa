"""Watchers follow sources: `base` says what one is, `follow` repeats it, the others read one type of source each."""
