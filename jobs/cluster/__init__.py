"""The services of the cluster profile on one machine, started from packages and kept by one supervisor."""
