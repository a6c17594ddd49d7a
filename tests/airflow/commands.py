"""Run by Airflow's own Python: complain of each line of Airflow's command line that its parser refuses."""

import json
import shlex
import sys

from airflow.cli.cli_parser import get_parser

parser = get_parser()
for line in json.loads(sys.argv[1]):
    parser.parse_args(shlex.split(line)[1:])  # exits with status 2 and a message
