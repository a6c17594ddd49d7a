"""Backup and restore of configurations, run journal, registry and the commit logs of the lake's tables."""
