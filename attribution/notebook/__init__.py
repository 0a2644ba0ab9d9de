"""What a notebook calls: `attribution.open`, `create` and `show`, and the workspace that they return.

Thin: each function asks the library, and what it returns knows how it looks in a notebook and in a terminal.
"""
