"""Backup and restore of configurations, run journal and registry, with a list of what the lake holds."""
