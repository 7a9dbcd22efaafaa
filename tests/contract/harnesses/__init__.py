"""One module per type of source that puts its watcher in front of the contract test; found by being here.

A module exports `HARNESSES`: `pytest.param(open_harness, id="...")` rows, with marks where a row needs a real server.
`base` says what `open_harness` gives.
"""
