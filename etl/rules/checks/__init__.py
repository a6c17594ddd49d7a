"""One file for each kind of check."""
