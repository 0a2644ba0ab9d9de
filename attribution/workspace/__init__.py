"""The workspace: a folder on disk that holds one data set's images, features, rankings and results."""
