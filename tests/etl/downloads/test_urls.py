import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.downloads.urls import Target, parse_url


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("https://files.example", Target("https", "files.example", 443, "/")),
        ("HTTP://Files.EXAMPLE.:8080/A/b.csv?x=1&y=%20#part", Target("http", "files.example", 8080, "/A/b.csv?x=1&y=%20")),
        ("https://xn--bcher-kva.example/ü", Target("https", "xn--bcher-kva.example", 443, "/%C3%BC")),
        ("https://bücher.example/", Target("https", "xn--bcher-kva.example", 443, "/")),
        ("http://127.0.0.1/", Target("http", "127.0.0.1", 80, "/")),
        ("http://１２７．０．０．１/", Target("http", "127.0.0.1", 80, "/")),
        ("http://[0:0::1]:81/", Target("http", "::1", 81, "/")),
        ("http://a_b.example/", Target("http", "a_b.example", 80, "/")),
        ("http://a//b.example", Target("http", "a", 80, "//b.example")),
    ],
)
def test_a_url_is_read_into_one_form(text: str, target: Target):
    assert parse_url(text) == target
    assert parse_url(target.url) == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file:///etc/passwd", "scheme 'file'"),
        ("gopher://127.0.0.1:70/x", "scheme 'gopher'"),
        ("ftp://files.example/x", "scheme 'ftp'"),
        ("//files.example/x", "scheme"),
        ("https:files.example", "scheme"),
        ("files.example", "scheme"),
        ("", "scheme"),
        ("https://ann:pw@files.example/", "no user and no password"),
        ("https://files.example@127.0.0.1/", "no user and no password"),
        ("http://2130706433/", "odd spelling"),
        ("http://0x7f000001/", "odd spelling"),
        ("http://0177.0.0.1/", "odd spelling"),
        ("http://0x7f.0.0.1/", "odd spelling"),
        ("http://127.0.0.0x1/", "odd spelling"),
        ("http://127.1/", "odd spelling"),
        ("http://127.0.0.1.0/", "odd spelling"),
        ("http://0/", "odd spelling"),
        ("http://①②⑦.1/", "odd spelling|no domain name"),
        ("http://[::1%25lo]/", "IPv6|zone"),
        ("http://[::1%lo]/", "IPv6|zone"),
        ("http://[127.0.0.1]/", "IPv6|host"),
        ("http://::1/", "host"),
        ("http://a:b/", "host"),
        ("http://a:0/", "port"),
        ("http://a:65536/", "port"),
        ("http://a:80:80/", "host"),
        ("http://%31%32%37.0.0.1/", "odd spelling"),
        ("http://%6cocalhost/", "no domain name"),
        ("http://a..b/", "no domain name"),
        ("http:///x", "no domain name"),
        ("http://-a/", "no domain name"),
        (f"http://{'a' * 64}.example/", "no domain name"),
        ("http://a\\@b/", "character"),
        ("http://a /", "character"),
        ("http://a/\r\nHost: b", "character"),
        ("http://a/\x00", "character"),
        ("http://a\t.example/", "character"),
        ("http://a／b.example/", "host|domain"),
        ("http://a/" + "x" * 9000, "longer"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(text: str, message: str):
    with pytest.raises(ValueError, match=message):
        parse_url(text)


def test_a_redirect_is_read_as_a_url_is():
    here = parse_url("https://files.example/a/b?x")
    assert here.join("c?y").url == "https://files.example/a/c?y"
    assert here.join("/c#d").url == "https://files.example/c"
    assert here.join("//other.example:1/c").origin == ("https", "other.example", 1)
    for wrong in ("file:///etc/passwd", "gopher://x/", "https://a:b@c/", "/a b", "/a\r\nb", "http://0x7f.1/", "javascript:x"):
        with pytest.raises(ValueError):
            here.join(wrong)


def test_messages_do_not_show_the_query():
    target = parse_url("https://files.example:444/a?token=hidden")
    assert str(target) == repr(target) == "https://files.example:444/a?…"
    assert "hidden" not in target.identity
    assert target.identity != parse_url("https://files.example:444/a?token=other").identity
    assert parse_url("https://files.example/a").identity == "https://files.example/a"


@settings(deadline=None)
@given(st.text(max_size=30), st.sampled_from(["http://{}", "https://{}/x", "http://a.{}/", "http://[{}]/", "http://a/{}"]))
def test_any_text_is_read_or_refused(text: str, form: str):
    try:
        target = parse_url(form.format(text))
    except ValueError:
        return
    assert target.url.isascii() and parse_url(target.url) == target
    assert not set(target.host) & set("/\\@?# %[]")
