"""How ranks are started and how they talk: one process, or several through Horovod."""
