"""Audit: which training labels look wrong, what people decided about them, and what the corrections gained."""
