"""Faults of HDFS: damaged blocks, too few replicas, a writer that died with its file open."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import hdfs_native
import httpx
import pytest

CONTENT = bytes(range(256)) * 4096

WRITER = """
import sys, hdfs_native
client = hdfs_native.Client(sys.argv[1])
file = client.create(sys.argv[2], hdfs_native.WriteOptions(create_parent=True))
file.write(b"half")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def url(services):
    return services.settings.lake.root.removesuffix("/maas/lake")


@pytest.fixture
def client(services, url):
    yield hdfs_native.Client(url)
    for name in ("namenode", "datanode1", "datanode2"):
        services.wait_up(name)


def write(client, path, data=CONTENT, replication=2):
    options = hdfs_native.WriteOptions(create_parent=True, overwrite=True, replication=replication)
    with client.create(path, options) as file:
        file.write(data)


def web_written(services, path):
    """Whether a DataNode took the file; the NameNode may send a writer to the dead one."""
    request = {"op": "CREATE", "user.name": "maas", "overwrite": "true", "replication": "2"}
    place = httpx.put(f"{services.settings.hdfs.web[0]}/webhdfs/v1{path}", params=request, timeout=60).headers["location"]
    try:
        return httpx.put(place, content=CONTENT, timeout=60).status_code == 201
    except httpx.TransportError:
        return False


def read(client, path):
    with client.read(path) as file:
        return bytes(file.read())


def web_read(services, path):
    answer = httpx.get(
        f"{services.settings.hdfs.web[0]}/webhdfs/v1{path}",
        params={"op": "OPEN", "user.name": "maas"},
        follow_redirects=True,
        timeout=60,
    )
    return answer.raise_for_status().status_code, answer.content


def bean(services, name):
    """What the NameNode says of itself."""
    answer = httpx.get(f"{services.settings.hdfs.web[0]}/jmx", params={"qry": f"Hadoop:service=NameNode,name={name}"})
    return answer.json()["beans"][0]


def await_replicas(services, path, count):
    """Wait until all blocks of a file lie on ``count`` DataNodes; gives the block names."""
    deadline = time.monotonic() + 180
    while True:
        answer = httpx.get(
            f"{services.settings.hdfs.web[0]}/webhdfs/v1{path}",
            params={"op": "GET_BLOCK_LOCATIONS", "user.name": "maas"},
            timeout=60,
        )
        blocks = answer.json()["LocatedBlocks"]["locatedBlocks"]
        if blocks and all(len(block["locations"]) == count for block in blocks):
            return [f"blk_{block['block']['blockId']}" for block in blocks]
        assert time.monotonic() < deadline, blocks
        time.sleep(0.2)


def block_file(services, number, name):
    (found,) = services.settings.at_home(Path("services") / f"datanode{number}").rglob(name)
    return found


def flip(file):
    """Turn one byte of a file over."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)


def test_a_damaged_replica_is_passed_by_and_reported(services, client):
    # given a file on both DataNodes
    write(client, "/faults/damaged")
    (block,) = await_replicas(services, "/faults/damaged", 2)
    # when a byte of one replica is turned over
    flip(block_file(services, 1, block))
    # then every reader gets the bytes that were written, from the other, and the NameNode comes to know
    deadline = time.monotonic() + 60
    while not bean(services, "FSNamesystem")["CorruptBlocks"]:
        assert read(client, "/faults/damaged") == CONTENT
        assert web_read(services, "/faults/damaged") == (200, CONTENT)
        assert time.monotonic() < deadline
    client.delete("/faults/damaged", False)


def test_damage_to_every_replica_is_an_error_and_never_other_bytes(services, client):
    write(client, "/faults/lost")
    (block,) = await_replicas(services, "/faults/lost", 2)
    for number in (1, 2):
        flip(block_file(services, number, block))
    with pytest.raises(Exception, match=r"(?i)checksum|All DataNodes failed"):
        read(client, "/faults/lost")
    with pytest.raises((httpx.RemoteProtocolError, httpx.HTTPStatusError)):
        web_read(services, "/faults/lost")
    client.delete("/faults/lost", False)


def test_what_is_written_while_a_datanode_is_dead_gets_its_second_replica_when_it_is_back(services, client):
    services.kill("datanode1")
    deadline = time.monotonic() + 60
    while not web_written(services, "/faults/few"):
        assert time.monotonic() < deadline
    assert read(client, "/faults/few") == CONTENT
    services.wait_up("datanode1")
    await_replicas(services, "/faults/few", 2)
    assert read(client, "/faults/few") == CONTENT


def test_the_namenode_forgets_nothing_that_was_acknowledged_when_it_is_killed(services, client):
    write(client, "/faults/kept")
    services.kill("namenode")
    services.wait_up("namenode")
    assert read(client, "/faults/kept") == CONTENT


def test_a_file_left_open_by_a_dead_writer_can_be_replaced_at_once(services, url, client):
    # given a writer that dies with the file open: its lease lasts for a minute or more
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, url, "/faults/leased"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout.readline() == "open\n"
    # when it lives, another's append is refused with the reason
    with pytest.raises(Exception, match=r"(?i)lease|AlreadyBeingCreated"):
        client.append("/faults/leased")
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdin.close()
    writer.stdout.close()
    # then another writer that replaces the file need not wait for it
    write(client, "/faults/leased", b"whole")
    assert read(client, "/faults/leased") == b"whole"
