"""Airflow's services on one machine: its home folder, its processes, its REST interface."""
