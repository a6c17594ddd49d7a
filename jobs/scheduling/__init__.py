"""Scheduling by Airflow: the plan that its DAGs are made from, and its services on one machine."""
