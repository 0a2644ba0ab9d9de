"""The store: what is known and what is queued, in one SQLite file a data set."""
