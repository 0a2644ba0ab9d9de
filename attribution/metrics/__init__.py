"""Metrics: numbers from plain arrays. Nothing here knows a workspace, a store or a file."""
