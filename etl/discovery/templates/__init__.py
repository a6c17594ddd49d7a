"""Log templates: lines in, groups of lines that one statement wrote out; nothing to set per system."""
