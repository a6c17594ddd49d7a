"""Named patterns in a rule's regular expression: what each takes, and that none can run away."""

import re

import pytest

from etl.rules.patterns.grok import LIBRARY, expand, locate
from etl.rules.patterns.safety import check_pattern
from etl.rules.patterns.syntax import PatternError

TAKEN = {
    "INT": ["0", "-12", "+7"],
    "POSINT": ["1", "4711"],
    "NUMBER": ["1", "-1.5", ".5", "1.", "6.02e23", "1E-9"],
    "HEX": ["0x1f", "DEADbeef"],
    "WORD": ["abc_1"],
    "NOTSPACE": ["a/b:c"],
    "SPACE": ["", " \t "],
    "DATA": ["", "any thing"],
    "GREEDYDATA": ["", "any thing"],
    "QUOTED": ['""', r'"a \"quoted\" word"', r'"c:\\x"'],
    "USER": ["root", "first.last-1_2"],
    "EMAIL": ["first.last+tag@mail.example.org"],
    "UUID": ["123e4567-e89b-12d3-a456-426614174000"],
    "LOGLEVEL": ["INFO", "Warn", "error", "WARNING", "FATAL"],
    "MAC": ["00:1B:44:11:3A:B7", "00-1b-44-11-3a-b7"],
    "IPV4": ["0.0.0.0", "192.168.1.255"],
    "IPV6": ["::", "::1", "fe80::", "2001:db8::8a2e:370:7334", "1:2:3:4:5:6:7:8", "1::8", "1:2:3:4:5:6:7::"],
    "IP": ["10.0.0.1", "::1"],
    "HOSTNAME": ["localhost", "a.example.org", "node-1_x", "example.org."],
    "HOST": ["10.0.0.1", "fe80::1", "db-1.internal"],
    "PORT": ["0", "65535"],
    "HOSTPORT": ["db-1:3306", "10.0.0.1:80"],
    "URI": ["https://example.org/a?b=c#d", "hdfs://nn:9000/x"],
    "UNIXPATH": ["/", "/var/log/syslog.1"],
    "WINPATH": ["C:\\Windows\\system.ini", "\\\\server\\share"],
    "PATH": ["/a/b", "D:\\x"],
    "YEAR": ["2026"],
    "MONTHNUM": ["1", "01", "12"],
    "MONTH": ["Jan", "Dec"],
    "MONTHDAY": ["1", "09", "31"],
    "DAY": ["Mon"],
    "HOUR": ["0", "09", "23"],
    "MINUTE": ["00", "59"],
    "SECOND": ["00", "60", "59.999", "01,123"],
    "TIME": ["9:05:00", "23:59:60.123456"],
    "ZONE": ["Z", "+01:00", "-0800"],
    "DATE": ["2026-02-28"],
    "TIMESTAMP": ["2026-02-28T23:59:59.1Z", "2026-02-28 23:59:59,123", "2026-02-28 23:59:59 +0100"],
    "SYSLOGTIME": ["Feb  8 01:02:03", "Nov 28 21:00:00"],
    "HTTPTIME": ["10/Oct/2000:13:55:36 -0700"],
    "SYSLOG": ["Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure", "Jun 14 15:16:01 ::1 kernel: x"],
    "COMMONLOG": [
        '127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326',
        'h - - [1/Oct/2000:13:55:36 +0000] "-" 408 -',
    ],
    "COMBINEDLOG": ['::1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 1 "http://a/" "Mozilla/5.0 \\"x\\""'],
}
LEFT = {
    "INT": ["", "1.5", "x"],
    "POSINT": ["0", "01", "-1"],
    "NUMBER": ["", ".", "1e", "1.2.3"],
    "HEX": ["0x", "g"],
    "QUOTED": ['"', '"a', r'"a\"'],
    "UUID": ["123e4567e89b12d3a456426614174000"],
    "LOGLEVEL": ["iNFO", "information"],
    "MAC": ["00:1B:44:11:3A", "00:1B-44:11:3A:B7"],
    "IPV4": ["256.1.1.1", "1.2.3", "1.2.3.4.5", "01.2.3.4"],
    "IPV6": ["1:2:3:4:5:6:7", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", ":"],
    "HOSTNAME": ["-x", ".org", "a..b"],
    "EMAIL": ["@example.org", "a@"],
    "URI": ["example.org", "http:/x"],
    "MONTHNUM": ["0", "13"],
    "MONTHDAY": ["0", "32"],
    "HOUR": ["24"],
    "SECOND": ["61", "59."],
    "TIME": ["12:60:00"],
    "TIMESTAMP": ["2026-13-01T00:00:00Z", "2026-02-28"],
    "COMMONLOG": ['127.0.0.1 - - [10/Oct/2000:13:55:36] "GET / HTTP/1.0" 200 1'],
}  # fmt: skip


def whole(name: str, text: str) -> re.Match[str] | None:
    return re.fullmatch(expand(f"%{{{name}}}").replace("(?<", "(?P<"), text)


@pytest.mark.parametrize("name", LIBRARY)
def test_each_takes_what_it_is_named_for_and_nothing_else(name: str) -> None:
    assert [text for text in TAKEN[name] if not whole(name, text)] == []
    assert [text for text in LEFT.get(name, []) if whole(name, text)] == []


@pytest.mark.parametrize("name", LIBRARY)
def test_each_may_be_tried_on_a_record_of_any_length(name: str) -> None:
    assert check_pattern(f"%{{{name}}}").longest is None


def test_a_use_with_a_name_is_a_group_and_one_without_captures_nothing() -> None:
    pattern = check_pattern(r"^%{IP:client} %{WORD} (?<rest>.*)$").pattern
    assert pattern.names() == ("client", "rest")
    match = re.match(pattern.java(("client", "rest")).replace(r"\z", r"\Z"), "10.0.0.1 GET all of it")
    assert match is not None and match.groups() == ("10.0.0.1", "all of it")


def test_groups_within_a_named_pattern_are_the_rules_own() -> None:
    match = whole("COMMONLOG", TAKEN["COMMONLOG"][0])
    assert match is not None and match.groupdict() == {
        "client": "127.0.0.1", "ident": "-", "user": "frank", "time": "10/Oct/2000:13:55:36 -0700",
        "method": "GET", "path": "/a.gif", "version": "1.0", "status": "200", "bytes": "2326",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("a %{IPV5}", 2, "no pattern named 'IPV5': did you mean IPV"),
        ("%{ip}", 0, "did you mean IP"),
        ("%{}", 0, "no pattern named ''"),
        ("%{IP:1st}", 0, "'1st' is no name of a group"),
        ("%{IP:}", 0, "'' is no name of a group"),
        ("%{IP} %{WORD:a} %{WORD:a}", 16, "'a' stands twice"),
        ("%{IP} x) %{IP}", 7, "closes nothing"),
        ("%{IP} (x", 6, "not closed"),
        ("%{SYSLOG}" * 20, 108, "more than 10,000 characters"),
        ("%{DATA} %{DATA} %{DATA} %{DATA}", 0, "power of the record's length"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_in_the_text_that_was_written(text: str, position: int, said: str) -> None:
    with pytest.raises(PatternError, match=re.escape(said)) as caught:
        check_pattern(text)
    assert caught.value.position == position


def test_other_text_stays_as_it_is() -> None:
    assert expand(r"\d+% [%] %a") == r"\d+% [%] %a"
    assert locate("abc", 2) == 2
