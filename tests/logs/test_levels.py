"""How serious a line says that it is, as real loggers write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.logs.levels import level_of
from app.ports.logs import LogLevel

D, I, W, E = LogLevel.DEBUG, LogLevel.INFO, LogLevel.WARN, LogLevel.ERROR  # noqa: E741

LINES = [
    ('{"level":30,"time":1531171074631,"msg":"pino"}', I),
    ('{"level":50,"msg":"pino"}', E),
    ('{"level":60,"msg":"bunyan"}', E),
    ('{"level":20,"msg":"pino"}', D),
    ('{"level":"warn","msg":"zap"}', W),
    ('{"severity":"ERROR","message":"Google"}', E),
    ('{"severity":"NOTICE","message":"Google"}', I),
    ('{"lvl":"dbug","lvl2":1}', None),
    ('{"log.level":"error","message":"ECS"}', E),
    ('{"log":{"level":"warning"}}', W),
    ('{"@l":"Warning","@m":"serilog"}', W),
    ('{"levelname":"CRITICAL"}', E),
    ('{"level":3,"message":"syslog\'s number"}', E),
    ('{"level":null,"severity":"info"}', I),
    ('{"level":{"deep":1}}', None),
    ('{"message":"error: none of its fields says so"}', None),
    ("{not json} [error] text", E),
    ("INFO:     Started server process [1]", I),
    ("INFO:     127.0.0.1:1234 - \"GET / HTTP/1.1\" 500 Internal Server Error", I),
    ("WARNING:  Invalid HTTP request received.", W),
    ("[2026-11-24 12:00:00 +0000] [7] [INFO] Starting gunicorn 23.0.0", I),
    ("[2026-11-24 12:00:00 +0000] [7] [CRITICAL] WORKER TIMEOUT (pid:9)", E),
    ("ERROR: relation does not exist", E),
    ("2026-11-24 12:00:00.000 UTC [12] FATAL:  password authentication failed", None),
    ("2026-11-24 12:00:00,123 - app.db - WARNING - slow", W),
    ("2026-11-24T12:00:00.000Z ERROR app: it broke", E),
    ("12:00:01 WARN  disk is nearly full", W),
    ("[warn] something", W),
    ("[error] something", E),
    ("2026/11/24 12:00:00 [error] 31#31: *1 open() failed (nginx)", E),
    ("[Tue Nov 24 12:00:00 2026] [notice] apache", I),
    ('time="2026-11-24T12:00:00Z" level=warning msg="logrus"', W),
    ("ts=2026-11-24T12:00:00Z lvl=debug msg=hi", D),
    ("E1124 12:00:00.000000       1 main.go:1] glog", E),
    ("<11>Nov 24 12:00:00 host app: syslog", E),
    ("<14>1 2026-11-24T12:00:00Z host app - - - syslog", I),
    ("Error: Cannot find module 'express'", E),
    ("TypeError: Cannot read properties of undefined", E),
    ("Traceback (most recent call last):", E),
    ("ValueError: bad", E),
    ("panic: runtime error: index out of range", E),
    ("thread 'main' panicked at src/main.rs:1:1:", E),
    ("debug: verbose", D),
    ("information desk opens at nine", None),
    ("0 errors found", None),
    ("errors: 0", None),
    ("GET /error 200", None),
    ("listening on 8080", None),
    ("", None),
    ("{", None),
]  # fmt: skip


@pytest.mark.parametrize(("line", "level"), LINES, ids=[line for line, _ in LINES])
def test_the_level_is_what_the_line_says(line: str, level: LogLevel | None) -> None:
    assert level_of(line) is level


@given(st.text(max_size=400))
def test_no_line_is_a_problem(line: str) -> None:
    level_of(line)
    level_of("{" + line)
