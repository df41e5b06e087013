"""Reports of ad platforms as they come out of the products: "so much was spent on a day so far".

`reading` makes rows of a file, with `platforms` (what columns are called) and `notation` (how
amounts and days are written); `finding` makes of rows what can be recorded; `checking` does both,
and hands it to be recorded.
"""
