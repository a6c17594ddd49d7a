"""Numbers that are held in another unit than they were written in."""

import pytest

from core.errors import ConfigError

CASES = [
    ("ms", "s", 1500, 1.5), ("ms", "s", 3, 0.003), ("h", "ms", 2, 7_200_000), ("d", "min", 0.5, 720), ("us", "ns", 7, 7000),
    ("KiB", "B", 3, 3072), ("MB", "GB", 1500, 1.5), ("B", "MiB", 524288, 0.5), ("TB", "kB", 1, 1e9), ("s", "s", 0.1, 0.1),
    ("mi", "km", 100, 160.9344), ("ft", "m", 10, 3.048), ("nmi", "mi", 1609.344, 1852), ("in", "mm", 1, 25.4),
    ("km/h", "m/s", 36, 10), ("kn", "km/h", 10, 18.52), ("mph", "kn", 0, 0), ("lb", "kg", 2, 0.90718474),
    ("hPa", "bar", 1013, 1.013), ("F", "C", 212, 100), ("C", "F", -40, -40), ("C", "K", 0, 273.15), ("F", "K", -459.67, 0),
]  # fmt: skip


def test_each_number_is_converted_and_what_is_missing_or_damaged_stays_so(run, table_rules) -> None:
    fields = {f"c{i}": {"type": "double", "unit": {"from": a, "to": b}} for i, (a, b, _, _) in enumerate(CASES)}
    plain = {"name": "plain", "kind": "regex", "pattern": "(?<c0>.*)", "fields": {"c0": {"type": "double"}}}
    record = ",".join(f'"c{i}":{value}' for i, (_, _, value, _) in enumerate(CASES))

    rows = run(
        table_rules({"name": "r", "kind": "json", "fields": fields}, plain), [f"{{{record}}}".encode(), b'{"c0":"x"}', b"7"]
    )

    assert [rows[0][f"c{i}"] for i in range(len(CASES))] == pytest.approx([found for *_, found in CASES], rel=1e-15, abs=1e-12)
    assert (rows[0]["c0"], rows[0]["c1"], rows[0]["c9"]) == (1.5, 0.003, 0.1)
    assert (rows[1]["_problem"]["reason"], rows[1]["c1"], rows[2]["c0"]) == ("bad_cast", None, 7.0)


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ({"type": "int", "unit": {"from": "ms", "to": "s"}}, "a int has no unit: make the field a double"),
        ({"type": "double", "unit": {"from": "ms", "to": "km"}}, "ms is a unit of time and km one of length"),
        ({"type": "double", "unit": {"from": "msec", "to": "s"}}, "there is no unit 'msec': did you mean 'ms'"),
        ({"type": "double", "unit": {"from": "ms"}}, "'.*to' is missing"),
    ],
)
def test_units_that_do_not_go_together_are_refused(table_rules, field: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        table_rules({"name": "r", "kind": "json", "fields": {"x": field}})
