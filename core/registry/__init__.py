"""Runs, model versions and the bundles that servers load, kept in MLflow. This folder is MLflow's only home."""
