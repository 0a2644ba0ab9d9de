"""Who is let in to the dashboard; docs/security.md has the threat model."""
