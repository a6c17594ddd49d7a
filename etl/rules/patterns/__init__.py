"""Regular expressions: parsed, and refused when a record could keep them busy without end."""
