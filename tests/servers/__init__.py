"""Real servers for the tests: where their programs come from, and small classes that start, pause, kill and ask them.

Standard library only, so that `make servers` works before anything else is installed. Every server listens on
127.0.0.1 and keeps its data and its output in the folder it is given.
"""
