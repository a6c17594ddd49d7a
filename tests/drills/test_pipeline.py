"""Drills D5 to D8: a service, an executor or the driver is killed in the middle of a step.

The step ends right, or says in one line what is down; run again, it completes; what it leaves is what undisturbed runs left.
"""

import signal
import time
from contextlib import closing, suppress
from urllib.parse import urlsplit

import psutil
import pymysql
import pytest
import requests

from jobs.cluster import local
from jobs.processes import members

pytestmark = [pytest.mark.drills, pytest.mark.timeout(1800)]

STEPS = ("ingest", "extract", "standardize", "train", "publish", "score")
SERVICES = ("datanode1", "namenode", "nodemanager", "mariadb", "kafka", "mongodb", "s3")
FAULTS = (*SERVICES, "executor", "driver")
ON_YARN = ("nodemanager", "executor", "driver")


CASES = [
    pytest.param(step, fault, id=f"{step}-{fault}")
    for step in STEPS
    for fault in FAULTS
    if (step, fault) != ("publish", "executor")  # this step has none
]


@pytest.mark.parametrize(("step", "fault"), CASES)
def test_a_step_whose_service_is_killed_ends_as_if_undisturbed(services, prepared, drill, request, step, fault):
    # given the state before the step
    platform = drill(step, yarn=fault in ON_YARN)
    before = platform.versions()
    # when the fault hits the step at its work
    with platform.started("run", "flights", "--step", step) as first:
        await_moment(services, platform, step, fault, before, first)
        strike(services, fault, first)
        code = first.wait()
        took = first.seconds
        # then it completes, or says in one line what is down
        outcome = judge(fault, first, code)
        # and run again, it completes, while a dead one's engine may still be there
        for name in (fault,) if fault in SERVICES else ():
            services.wait_up(name)
        again = platform.maas("run", "flights", "--step", step)
    assert again.code == 0, again.stderr
    # and all is as if nothing had happened
    prepared.assert_same(platform, step, before, first.begun)
    assert [attempt["state"] for attempt in platform.attempts(step)] == [
        "done" if outcome == "survived" else "failed",
        "done",
    ], platform.attempts(step)
    await_no_application(services)
    result = {"step": step, "fault": fault, "outcome": outcome, "said": first.stderr, "again": again.seconds}
    prepared.keep(request.node.name, **result, seconds=took)


def judge(fault, run, code):
    """How the run ended, which is one of the three that are allowed."""
    lines = run.stderr.splitlines()
    assert all(line.startswith("maas: ") for line in lines), run.stderr
    if fault == "driver":
        assert code == -signal.SIGKILL
        return "killed"
    if code == 0:
        return "survived"
    assert code == 1
    assert len(lines) == 1, run.stderr
    return "said"


def await_moment(services, platform, step, fault, before, run):
    """Return when the step is at its work."""
    while not at_work(services, platform, step, fault, before):
        assert run.process.poll() is None, f"it ended before the fault: {run.stdout}{run.stderr}"
        time.sleep(0.05)


def at_work(services, platform, step, fault, before):
    if step == "publish":  # the bundle is being written, and then sent
        return any((platform.folder / "tmp").glob("maas-publish-*"))
    if step == "train":  # the ranks have begun
        folder = platform.settings.at_home(platform.settings.training.folder)
        return any(folder.glob("*/*/ranks.log")) or any(folder.glob("*/*/events/*"))
    if step in ("standardize", "score"):  # Spark runs our functions
        return any("pyspark.daemon" in words(process) for process in [*platform.left(), *containers(services)])
    if (step, fault) == ("ingest", "mariadb"):  # the table is being read
        return is_read(platform)
    return any(version > before.get(name, -1) for name, version in platform.versions().items())


def is_read(platform):
    """Whether someone is connected to the database that is a source."""
    place, password = urlsplit(platform.settings.database.url), platform.settings.database.password
    login = {"host": place.hostname, "port": place.port, "user": place.username, "password": password.get_secret_value()}
    with closing(pymysql.connect(**login)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT db FROM information_schema.processlist")
        return (f"{platform.settings.sources.prefix}flights",) in cursor.fetchall()


def words(process):
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def containers(services):
    return members(local.group(services.settings).run, ["nodemanager"])


def executors(services):
    return [process for process in containers(services) if "CoarseGrainedExecutorBackend" in words(process)]


def strike(services, fault, run):
    if fault == "driver":
        run.process.kill()
    elif fault == "executor":
        next(process for process in executors(services) if process.name() == "java").kill()
    else:
        services.kill(fault)


def await_no_application(services):
    """No application stays on YARN."""
    web = next(state.url for state in local.status(services.settings) if state.name == "resourcemanager")
    deadline = time.monotonic() + 60
    while apps := requests.get(f"{web}/ws/v1/cluster/apps?states=ACCEPTED,RUNNING", timeout=10).json()["apps"]:
        assert time.monotonic() < deadline, apps
        time.sleep(0.5)
