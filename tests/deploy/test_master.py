"""A session's configuration when Kubernetes gives the executors."""

import socket
from pathlib import Path

import pytest

from core.errors import ConfigError, ServiceError
from core.executors import Executors, is_local, require_master


def test_executors_of_kubernetes_are_counted_and_reach_the_driver_at_its_pod():
    conf = Executors(count=3, cores=2, memory="2g", overhead="1g", host="10.1.2.3").conf(
        "k8s://https://kubernetes:443", Path("/spark")
    )
    assert conf == {
        "spark.driver.host": "10.1.2.3",
        "spark.driver.bindAddress": "10.1.2.3",
        "spark.executor.instances": "3",
        "spark.executor.cores": "2",
        "spark.executor.memory": "2g",
        "spark.executor.memoryOverhead": "1g",
    }


def test_kubernetes_is_asked_whether_it_is_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        master = f"k8s://https://127.0.0.1:{server.getsockname()[1]}"
        assert not is_local(master)
        require_master(master, None)
    with pytest.raises(ServiceError, match=r"Kubernetes does not answer at 127\.0\.0\.1:\d+: correct spark.master"):
        require_master(master, None)


def test_a_master_without_a_port_is_refused():
    with pytest.raises(ConfigError, match="no HOST:PORT"):
        require_master("k8s://https://kubernetes.default.svc", None)
