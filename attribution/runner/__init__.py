"""The runner: the detached process that does queued jobs, and who trains for it (executors)."""
