"""What can be asked: one question a file, looked up in `attribution.experiments.registry`."""
