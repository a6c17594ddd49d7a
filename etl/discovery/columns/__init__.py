"""Profiles of columns, and the checks that they suggest."""
