"""Small logs written for this test, with the group that each line belongs to."""

from __future__ import annotations

from collections import defaultdict

import pytest

from etl.discovery.templates.miner import mine

USERS = ["anna", "boris", "chen", "dora", "emil", "farid"]

LOGS = {
    "numbers, sizes and times": [
        ("copy", "copied 12 files in 3.5 s"),
        ("copy", "copied 7 files in 120 ms"),
        ("skip", "skipped 7 files in 120 ms"),
        ("sent", "sent 451 bytes, received 184 bytes, lasted <1 sec"),
        ("sent", "sent 2 KB, received 17 bytes, lasted 00:42"),
        ("sent much", "sent 2048 bytes (2.0 KB), received 17 bytes, lasted 00:42"),
        ("sent much", "sent 18846 bytes (18.4 KB), received 1 bytes, lasted 12 sec"),
    ],
    "addresses of every form": [
        ("open", "connection from 10.0.0.7:5123 opened"),
        ("open", "connection from [fe80::a0b:1cff:fe2d:3e4f]:22 opened"),
        ("open", "connection from db.north.example.org opened"),
        ("open", "connection from example.org:80 opened"),
        ("link", "port up, peer de:ad:be:ef:ca:fe"),
        ("link", "port up, peer 00:1b:44:11:3a:b7"),
        ("mail", "mail to ann@example.org deferred"),
        ("mail", "mail to bob.lee@mail.example.org deferred"),
        ("get", 'peer asked for "GET https://example.org/a/b?c=d"'),
        ("get", 'peer asked for "GET https://example.org/"'),
        ("put", 'peer asked for "PUT https://example.org/"'),
    ],
    "paths": [
        ("read", "cannot read /var/lib/app/data.bin: no such file"),
        ("read", "cannot read /etc/passwd: no such file"),
        ("denied", "cannot read /etc/passwd: permission denied"),
        ("load", r"loaded C:\Program\core.dll"),
        ("load", r"loaded D:\x\y.dll"),
    ],
    "words that are values elsewhere": [
        ("login", "login ok user=anna from=web"),
        ("login", "login ok user=boris from=app"),
        ("quota", "quota exceeded for anna on disk"),
        ("quota", "quota exceeded for boris on disk"),
    ],
    "many words at one place": [("bye", f"good bye dear {user} see you") for user in USERS],
    "few words at one place": [
        ("begin", "the layout begins now"),
        ("end", "the layout ends now"),
        ("opened", "door of the gate opened"),
        ("closed", "door of the gate closed"),
    ],
    "three words that alternate twice": [
        *(("opened", f"session opened for user {user} by (uid=0)") for user in USERS[:3]),
        *(("closed", f"session closed for user {user}") for user in USERS[:3]),
    ],
    "lists and optional parts": [
        ("fans", "fan speeds ( 3552 3534 3375 )"),
        ("fans", "fan speeds ( 3552 **** 3375 4245 )"),
        ("fans", "fan speeds ( **** **** 3375 )"),
        ("peer", "peer 10.0.0.1 (gate.example.org) joined"),
        ("peer", "peer 10.0.0.2 () joined"),
        ("peer", "peer 10.0.0.3 joined"),
    ],
    "words of one place stay apart when nothing else is left": [(word, word) for word in [*USERS, "IDLE", "BUSY"]],
    "two words that are values at once": [
        *(("grant", f"the user {a}{b}a may open the room {b}{a}o today") for a in "bdfgk" for b in "lmnpr"),
        ("deny", "the user of this may never enter any room"),
    ],
    "a command in brackets": [("run", "(root) CMD (run-parts /etc/cron.daily)"), ("run", "(root) CMD (/usr/lib/sa/sa1 1 1)")],
    "what happened is not a value": [
        (state, f"unit seven {state} (life cycle event)") for state in ("started", "paused", "resumed", "stopped", "suspended")
    ],
    "leaders of dots": [
        ("trap", "interrupt: trap instruction......0"),
        ("illegal", "interrupt: illegal instruction...1"),
        ("illegal", "interrupt: illegal instruction...0"),
    ],
    "dates": [
        ("at", "started at Sat Jul  9 22:53:19 2005"),
        ("at", "started at Sun Aug 14 03:00:01 2005"),
        ("at", "started at Mon Dec  1 10:38:02 PST 2005"),
    ],
    "Booleans": [("flag", "visible: true"), ("flag", "visible: false"), ("other", "hidden: false")],
    "words set apart": [
        ("icon", "the icon is in state 'Idle'"),
        ("icon", "the icon is in state 'Busy'"),
        ("radio", "radio of unit 1: power[off]"),
        ("radio", "radio of unit 2: power[on]"),
        ("source", "power source: 'External': Yes, 'Left': 17,"),
        ("source", "power source: 'External': No, 'Left': 3,"),
        ("deny", "sandbox: com.example.sync(17) may not listen"),
        ("deny", "sandbox: Browser(4) may not listen"),
        ("other", "the icon is in a state of its own"),
    ],
    "names": [
        ("cast", "received broadcast app.action.SCREEN_ON"),
        ("cast", "received broadcast app.action.TIME_TICK"),
    ],
    "other alphabets": [
        ("ru", "пользователь 17 вошёл"),
        ("ru", "пользователь 4 вошёл"),
        ("ja", "接続 10.0.0.1 終了"),
        ("ja", "接続 10.0.0.22 終了"),
    ],
}


def partition(names: list[object]) -> set[tuple[int, ...]]:
    groups: dict[object, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        groups[name].append(i)
    return {tuple(members) for members in groups.values()}


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS.keys())
def test_lines_of_one_statement_are_one_group(log):
    templates, numbers = mine([line for _, line in log])

    assert partition(numbers) == partition([name for name, _ in log]), [template.text for template in templates]


def test_a_template_keeps_what_its_lines_share():
    templates, numbers = mine(["took 15 ms for job 7", "took 9 ms for job 8", "done"])

    assert [(template.text, template.lines) for template in templates] == [("took <*> ms for job <*>", 2), ("done", 1)]
    assert numbers == [0, 0, 1]


def test_a_key_with_a_digit_stays_a_key():
    templates, _ = mine(["load cpu0=17 cpu1=22", "load cpu2=1 cpu3=0"])

    assert [template.text for template in templates] == ["load cpu<*>=<*> cpu<*>=<*>"]
