"""The configuration database, and what is common to all of our SQL: engines, locks, migrations, failures."""
