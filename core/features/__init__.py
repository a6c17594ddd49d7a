"""Fitted transforms as data: one JSON state, applied by NumPy to one row or many, and by Spark as SQL text.

A plan (``plan``) names kinds and columns; moments (``moments``) gather in one pass what its kinds need, and merge; what they
finish to (``fitted``) is the state. A kind is one file in ``kinds``.
"""
