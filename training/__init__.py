"""Training: rows of one table version in, a model with its evaluation out.

``run.train`` is the way in and imports no torch; the work happens in processes of its own (``worker``).
"""
