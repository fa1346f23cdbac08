"""Hostile values as data: texts, JSON, bodies and headers, each by what is hostile about it."""

from __future__ import annotations

import json
from collections.abc import Mapping

#: Scripts that mark the page if they run.
SCRIPTS = (
    "<script>window.__hit=1</script>",
    "<img src=x onerror=window.__hit=1>",
    "\"'><svg/onload=window.__hit=1>",
    "<a href='javascript:window.__hit=1' autofocus onfocus=window.__hit=1>x</a>",
)
#: Texts, by what is hostile about them.
TEXTS: Mapping[str, str] = {
    "empty": "",
    "blank": " \t\n",
    "NUL": "a\0b",
    "controls": "\x01\x07\x1b[31m\x7f\x9b",
    "line breaks": "a\r\nSet-Cookie: a=b\r\n\r\n",
    "bidi": "\u202e\u2066abc\u2069",
    "joined": "\u200d\ufe0f\u0301" * 20,
    "astral": "\U0001f4a3\U000e0001",
    **{f"script {number}": script for number, script in enumerate(SCRIPTS)},
    "address of a script": "javascript:window.__hit=1",
    "template": "{{7*7}}${7*7}#{7*7}<%= 7*7 %>{% for a in range(9) %}x{% endfor %}",
    "format": "{0.__class__.__mro__}%s%n%(x)s",
    "shell": "$(touch /tmp/hit);`id`|cat /etc/passwd",
    "query": "' OR 1=1; DROP TABLE runs;--",
    "up": "../../../../../../etc/passwd",
    "up, backwards": "..\\..\\windows\\win.ini",
    "folder": "/etc",
    "file of the system": "file:///etc/passwd",
    "device": "/dev/zero",
    "process": "/proc/self/environ",
    "another host": "http://127.0.0.1:9/x",
    "share": "\\\\127.0.0.1\\share",
    "prototype": "__proto__",
    "underlined": "1_000",
    "other digits": "\u0661\u0662\u0663",
    "digits": "9" * 400,
    "float": "1e400",
    "not a number": "NaN",
    "commas": "," * 1000,
    "colons": "dynamic_cache:::===,:::",
    "many": ",".join(["dynamic_cache"] * 500),
    "long": "A" * 1_000_000,
}
#: Values as they stand in JSON: Python could not write all of them.
VALUES: Mapping[str, str] = {
    **{name: json.dumps(text) for name, text in TEXTS.items()},
    "half a character": '"\\ud83d"',
    "null": "null",
    "true": "true",
    "false": "false",
    "zero": "0",
    "minus one": "-1",
    "minus zero": "-0.0",
    "fraction": "0.5",
    "just above 64 bits": str(2**64),
    "400 digits": "9" * 400,
    "5000 digits": "9" * 5000,
    "1e400": "1e400",
    "tiny": "1e-400",
    "NaN": "NaN",
    "infinite": "Infinity",
    "minus infinite": "-Infinity",
    "empty list": "[]",
    "list of anything": '[null, 1, "x", {}, [[]]]',
    "list of nothing": "[" + ",".join(["null"] * 10_000) + "]",
    "empty object": "{}",
    "nested lists": "[" * 900 + "]" * 900,
    "nested objects": '{"a":' * 900 + "1" + "}" * 900,
    "the same key twice": '{"path": "a", "path": "/etc/passwd", "__proto__": {"x": 1}}',
    "an event's update": '{"__type__": "update", "value": "<b>x</b>", "visible": true}',
    "a file of the system": '{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}',
    "a file above": '{"path": "../../etc/passwd", "url": "file:///etc/passwd", "meta": {"_type": "gradio.FileData"}}',
    "a file elsewhere": '{"path": "http://127.0.0.1:9/x", "meta": {"_type": "gradio.FileData"}}',
    "a file at an address": '{"path": null, "url": "http://127.0.0.1:9/x", "meta": {"_type": "gradio.FileData"}}',
    "a file without a path": '{"meta": {"_type": "gradio.FileData"}}',
    "files": '[{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "/etc/passwd"]',
}
#: What is sent in place of JSON.
BODIES: Mapping[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe\x00{}",
    "null": b"null",
    "a number": b"1e400",
    "a list": b"[]",
    "an object": b"{}",
    "endless lists": b"[" * 100_000,
    "too much": b'{"data": ["' + b"x" * 5_000_000 + b'"]}',
    "a form": b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--\r\n",
}
#: Values of a header, which holds no line breaks.
HEADER_VALUES: Mapping[str, str] = {
    "empty": "",
    "script": SCRIPTS[0],
    "brackets": "[",
    "no port": "a:b:c",
    "spaces": "a b\tc",
    "another host": "evil.example",
    "address": "http://evil.example:9/x?y#z",
    "up": "../../etc/passwd",
    "long": "A" * 4000,
    "bytes": "\xff\xfe\x80",
    "commas": "," * 500,
}
HEADERS = (
    "Host", "Origin", "Referer", "Cookie", "Accept-Encoding", "Accept-Language", "Content-Type", "Range",
    "If-None-Match", "Authorization", "X-Forwarded-Proto", "X-Gradio-Server", "X-Forwarded-Host", "X-Forwarded-For",
    "Forwarded", "Upgrade",
)  # fmt: skip
