"""One set of truths for every implementation of a protocol."""
