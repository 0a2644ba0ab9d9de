"""Evaluation: how good rankings and detectors are, one question a file."""
