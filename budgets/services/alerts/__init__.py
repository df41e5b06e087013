"""Alerts: desired state, looked at once a minute.

`watching` asks `thresholds`, `silence` and itself what should have been told by now, `raising` writes
what was not yet, each once, with a mail for everybody concerned, and `sending` sends these.
"""
