"""Rules: YAML that says how raw records become typed rows, compiled to Spark columns."""
