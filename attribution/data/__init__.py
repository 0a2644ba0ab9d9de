"""Data sets: one loader a file, each returning images and labels as arrays."""
