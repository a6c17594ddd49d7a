"""Files of text: encodings, lines, and where a file may be cut."""
