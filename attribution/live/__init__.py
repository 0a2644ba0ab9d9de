"""Answers while a person drags: routes of the server (`routes`), and the process that computes for them (`solver`).

The server asks and waits without being held up (`client`): it stays responsive, and all browsers share the process.
"""
