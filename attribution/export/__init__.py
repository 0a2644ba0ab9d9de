"""Everything that leaves as text or as a file: numbers in words, figures, charts, the report."""
