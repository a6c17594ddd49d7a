"""Where raw records come from: databases, files, logs. Each is a ``Source``: it plans what is new, then reads exactly that."""
