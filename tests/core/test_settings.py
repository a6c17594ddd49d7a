from pathlib import Path

import pytest

from core.errors import ConfigError
from core.settings import is_private, load_settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("base", "local", "cluster"):
        (tmp_path / "conf" / folder).mkdir(parents=True)
    (tmp_path / "conf/base/settings.yaml").write_text("serving: {port: 1, max_rows: 10}\nspark: {options: {a: base, b: base}}\n")
    (tmp_path / "conf/cluster/settings.yaml").write_text("serving: {port: 2}\nspark: {options: {b: cluster}}\n")
    return tmp_path


def test_later_layers_win_key_by_key(root):
    settings = load_settings(root, "cluster", {"MAAS__SERVING__THREADS": "3"})
    assert (settings.serving.port, settings.serving.max_rows, settings.serving.threads) == (2, 10, 3)
    assert settings.spark.options == {"a": "base", "b": "cluster"}
    assert load_settings(root, None, {"MAAS__SERVING__PORT": "9", "MAAS_PROFILE": "cluster"}).serving.port == 9


def test_it_starts_with_no_configuration_at_all(root):
    (root / "conf/base/settings.yaml").unlink()
    settings = load_settings(root, environment={})
    assert settings.serving.host == settings.mlflow.host == "127.0.0.1"
    assert settings.at_home(Path("lake")) == root / "var" / "lake"


def test_settings_are_frozen(root):
    with pytest.raises(ValueError, match="frozen"):
        load_settings(root, environment={}).serving.port = 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("servng: {port: 1}", r"local/settings.yaml: unknown key 'servng': did you mean 'serving'\?"),
        ("serving: {prot: 1}", r"local/settings.yaml: unknown key 'serving.prot': did you mean 'port'\?"),
        ("serving: {port: eighty}", r"local/settings.yaml: key 'serving.port': .*integer"),
        ("serving: {port: 70000}", r"local/settings.yaml: key 'serving.port': .*65535"),
        ("serving: [", r"local/settings.yaml line 1: not YAML"),
        ("- a\n- b", r"local/settings.yaml: holds a list"),
        ("serving: {port: 1, port: 2}", r"local/settings.yaml line 1: not YAML: key 'port' stands twice"),
        ("logs: {level: LOUD}", r"local/settings.yaml: key 'logs.level': 'LOUD' is none of"),
        ("home: !!python/object/apply:os.system [true]", r"local/settings.yaml line 1: not YAML"),
    ],
)
def test_a_bad_file_is_one_line_with_file_and_key(root, text, message):
    (root / "conf/local/settings.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_settings(root, environment={})
    assert "\n" not in caught.value.message


def test_a_bad_variable_is_named(root):
    with pytest.raises(ConfigError, match=r"environment .*: unknown key 'serving.prot': did you mean 'port'"):
        load_settings(root, environment={"MAAS__SERVING__PROT": "1"})


def test_an_unknown_profile_names_those_there_are(root):
    with pytest.raises(ConfigError, match=r"profile 'clsuter' has no folder .* there are: cluster"):
        load_settings(root, "clsuter", {})


def test_a_place_without_conf_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="profile 'local' has no folder"):
        load_settings(tmp_path, environment={})


def test_secrets_stand_in_a_file_of_their_own_and_are_never_shown(root):
    secrets = root / "var" / "secrets.yaml"
    secrets.parent.mkdir()
    secrets.write_text("database: {password: from-file}\n")
    secrets.chmod(0o600)
    settings = load_settings(root, environment={})
    assert settings.database.password.get_secret_value() == "from-file"
    assert "from-file" not in f"{settings!r}{settings.model_dump(mode='json')}"
    stronger = load_settings(root, environment={"MAAS__DATABASE__PASSWORD": "from-environment"})
    assert stronger.database.password.get_secret_value() == "from-environment"


def test_secrets_are_read_in_the_home_folder_that_the_environment_names(root, tmp_path):
    secrets = tmp_path / "elsewhere" / "secrets.yaml"
    secrets.parent.mkdir()
    secrets.write_text("database: {password: from-file}\n")
    secrets.chmod(0o600)
    settings = load_settings(root, environment={"MAAS__HOME": str(secrets.parent)})
    assert settings.database.password.get_secret_value() == "from-file"


@pytest.mark.parametrize(
    ("mode", "owner", "user", "private"),
    [
        (0o100600, 1000, 1000, True),
        (0o100400, 1000, 1000, True),
        (0o100440, 1000, 1000, False),  # our own file: its group has no business in it
        (0o100640, 0, 0, False),
        (0o100440, 0, 10001, True),  # a mounted Secret, read by its group
        (0o100640, 0, 10001, True),
        (0o100460, 0, 10001, False),
        (0o100444, 0, 10001, False),
        (0o100440, 1000, 10001, False),
    ],
)
def test_a_file_of_secrets_is_private_or_it_is_roots_and_read_by_its_group(mode, owner, user, private):
    assert is_private(mode, owner, user) is private


def test_secrets_that_others_may_read_are_refused(root):
    secrets = root / "var" / "secrets.yaml"
    secrets.parent.mkdir()
    secrets.write_text("database: {password: x}\n")
    secrets.chmod(0o644)
    with pytest.raises(ConfigError, match=r"others may read the secrets in it: run `chmod 600 "):
        load_settings(root, environment={})


def test_a_password_in_a_url_is_refused_without_being_repeated(root):
    (root / "conf/local/settings.yaml").write_text("database: {url: 'mysql+pymysql://maas:hunter2@db/maas'}\n")
    with pytest.raises(ConfigError, match="a URL holds no password") as caught:
        load_settings(root, environment={})
    assert "hunter2" not in caught.value.message
