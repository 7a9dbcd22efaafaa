"""The primary's life: started and supervised, or followed.

`supervised` and `followed` are the two ways to share it, `running` is one process that was started, `environment`
renders its variables and `restarts` says whether and when to start again. Nothing here publishes, and nothing here
tells a primary about files: that is the pipeline's, which asks `target` for the process.
"""
