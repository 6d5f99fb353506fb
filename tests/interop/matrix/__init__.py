"""Whom smtptls talks to, and under which conditions.

cells       meets a peer under a condition, and says what became of it; begin there
servers     the peers that our client sends to
senders     the peers that send to `serve`
page        docs/interop.md, which `python tests/interop/matrix --write` makes of a run
"""
