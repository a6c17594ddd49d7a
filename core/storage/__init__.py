"""Places that hold files: folders, HDFS, S3 (``open``). Every place passes the contract suite in ``tests/contracts``."""
