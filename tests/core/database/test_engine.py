import errno

import pytest
from pydantic import SecretStr

from core.database import failures
from core.database.database import Database
from core.database.engine import address, place
from core.errors import ConfigError, DiskFull, StorageError

URL = "mysql+pymysql://maas@127.0.0.1:1/maas"


def test_a_password_stands_in_the_url_object_alone():
    url = address(URL, SecretStr("p@ss/word"))
    assert str(url.password) == "p@ss/word"
    assert place(url) == URL
    assert "p@ss" not in f"{url} {url!r}"


@pytest.mark.parametrize("url", ["postgresql://x/y", "sqlite://", "mysql+pymysql://maas@host", "no url"])
def test_an_address_of_another_kind_is_refused(url):
    with pytest.raises(ConfigError, match=r"write sqlite:///FILE or mysql\+pymysql://USER@HOST:PORT/NAME"):
        address(url)


def test_a_server_that_is_down_is_said_in_one_line():
    with pytest.raises(
        StorageError, match=r"MySQL does not answer \(settings database\.url, mlflow\.database\): see `maas doctor`"
    ) as caught:
        Database.open(URL, SecretStr("hunter2"))
    assert "\n" not in caught.value.message and "hunter2" not in caught.value.message


@pytest.mark.cluster
def test_a_wrong_password_is_said_in_one_line(cluster):
    with pytest.raises(StorageError, match="access denied: see the key 'password'") as caught:
        Database.open(cluster.database.url, SecretStr("wrong"))
    assert "wrong" not in caught.value.message


class Refused(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "busy", "gone"),
    [
        (Refused(1213, "Deadlock found"), True, False),
        (Refused("(pymysql.err.OperationalError) (1205, 'Lock wait timeout exceeded')"), True, False),
        (Refused("(sqlite3.OperationalError) database is locked\n[SQL: …]"), True, False),
        (Refused("(pymysql.err.OperationalError) (2006, 'MySQL server has gone away')"), False, True),
        (Refused(2013, "Lost connection"), False, True),
        (Refused(1062, "Duplicate entry"), False, False),
        (OSError(errno.ENOENT, "No such file"), False, False),
    ],
)
def test_what_passes_by_itself_is_known(error, busy, gone):
    assert (failures.is_busy(error), failures.is_gone(error)) == (busy, gone)
    outer = RuntimeError("outside")
    outer.__cause__ = error
    assert (failures.is_busy(outer), failures.is_gone(outer)) == (busy, gone)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), Refused("database or disk is full"), Refused(1021, "x")]
)
def test_a_full_disk_is_one(error):
    assert isinstance(failures.explain(error, "here"), DiskFull)
