"""Log files that rotate: a file is known by what it holds, whatever it is called."""
