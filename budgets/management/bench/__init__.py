"""The benchmark: every figure is taken on data of its own, and printed only after it was verified.

`stage` keeps the databases, `seed` fills them, `reference` judges what a run left behind, `rivals`
are the implementations that compete, and each of the other modules takes one kind of measure.
"""
