"""The doors of the pages: each reads the clock, makes its page, and draws it."""
