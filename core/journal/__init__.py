"""The run journal: which step of which pipeline ran for which interval, how often, and how it ended."""
