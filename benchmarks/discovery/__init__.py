"""What ``bench_discovery`` is made of: measures of accuracy, the peers' side, a generated log."""
