"""The only writers. Each takes `now` from its door; none reads a clock or knows of Celery.

Lock order, everywhere: brand rows by id first (the mutex of everything that decides), and read what
is decided on only afterwards. Campaign rows are written under their brand's lock alone.
"""
