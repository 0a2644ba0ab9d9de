"""Builds: computing what a workspace holds. Long work goes on where it was stopped, and nothing is trained twice."""
