"""Servers that live long under many sessions: soak.py is the command, test_soak.py its small form."""
