"""One file for each kind of transform."""
