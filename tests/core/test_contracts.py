import contextlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contracts import Column, Dtype, Interval, Layer, ModelUid, Signature, TableName
from core.errors import ConfigError, MaasError, ModelNotFound, RankFailed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flights", ModelUid("flights")),
        ("flights@shadow", ModelUid("flights", "shadow")),
        ("flights:12", ModelUid("flights", None, 12)),
        ("a.b-c_d", ModelUid("a.b-c_d")),
    ],
)
def test_a_uid_reads_back_as_it_was_written(text, expected):
    assert ModelUid.parse(text) == expected
    assert str(ModelUid.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../etc",
        "a/b",
        "a..b",
        "a:0",
        "a:-1",
        "a:1:2",
        "a@",
        "a@B",
        "@x",
        ":1",
        "a:1@x",
        "x" * 200,
        "a\x00",
        "é",
        "a:9999999999",
    ],
)
def test_a_text_that_can_name_no_model_is_refused(text):
    with pytest.raises(ModelNotFound, match="write NAME, NAME@alias or NAME:version"):
        ModelUid.parse(text)


@given(st.text())
def test_a_uid_is_read_or_refused_whatever_the_text(text):
    with contextlib.suppress(ModelNotFound):
        assert ModelUid.parse(str(ModelUid.parse(text))) == ModelUid.parse(text)


def test_a_table_name_is_a_layer_and_a_name():
    assert TableName.parse("raw.flights") == TableName(Layer.RAW, "flights")
    for bad in ("flights", "raw.", "raw.Flights", "cooked.flights", "raw.a.b", "raw./etc", "raw.a b"):
        with pytest.raises(ConfigError, match=r"is not layer\.name"):
            TableName.parse(bad)


def test_a_signature_survives_json():
    signature = Signature((Column("a", Dtype.DOUBLE), Column("b", Dtype.STRING, required=False)), (Column("p", Dtype.FLOAT),))
    assert Signature.from_json(signature.to_json()) == signature


def test_an_error_survives_pickling_with_its_facts():
    error = pickle.loads(pickle.dumps(RankFailed("rank 1 died", rank=1)))
    assert isinstance(error, RankFailed)
    assert isinstance(error, MaasError)
    assert (error.message, error.facts, error.retryable) == ("rank 1 died", {"rank": 1}, True)


def test_an_interval_is_half_open_and_in_utc():
    assert str(Interval.parse("2013-01-31")) == "2013-01-31T00:00:00Z/2013-02-01T00:00:00Z"
    assert str(Interval.parse("2013-01-31T06:00:00+02:00", "2013-02-01")) == "2013-01-31T04:00:00Z/2013-02-01T00:00:00Z"


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("yesterday", None, "'yesterday' is no date or time: write 2013-01-31"),
        ("2013-02-30", None, "'2013-02-30' is no date or time"),
        ("2013-01-02", "2013-01-02", "is empty: its end must come after its start"),
    ],
)
def test_what_is_no_interval_is_refused(start, end, message):
    with pytest.raises(ConfigError, match=message):
        Interval.parse(start, end)
