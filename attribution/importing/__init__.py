"""Importing: other libraries' files, and the check that they speak of this data set."""
