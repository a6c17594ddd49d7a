"""The lake: Delta tables at ``root/layer/name``. Spark writes them (``tables``), everyone may look at them (``catalog``)."""
