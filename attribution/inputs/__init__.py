"""What comes from outside in a word: numbers within bounds, and names that are shown and never obeyed."""
