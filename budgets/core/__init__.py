"""Plain Python: money, local time and the decision. No Django, no clock, no I/O."""
