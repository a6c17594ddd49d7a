"""Parts of bench_cluster: what a piece of work costs, and the session whose growth is measured."""
