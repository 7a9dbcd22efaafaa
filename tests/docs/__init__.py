"""The documentation, checked against the code; the tables in it that are made from the code."""
