"""Places that hold files. The local file system today; every place passes the contract suite in ``tests/contracts``."""
