"""Records that are JSON objects: their schema in one pass, and a rule for them."""
