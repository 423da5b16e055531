# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions that a ``-tags`` template can call, under the names and with the argument order of the original."""

from __future__ import annotations

import json
import re
import typing as t
import urllib.error
import urllib.request

HTTP_TIMEOUT_S = 10


class TemplateError(Exception):
    """A template that cannot be read or filled in. The message is one line for the user."""


def text_of(value: t.Any) -> str:
    """Return a value as Go prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, t.Mapping):
        return "map[" + " ".join(f"{key}:{text_of(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(text_of(item) for item in value) + "]"
    return str(value)


def _str_slice(text: str, start: int, end: t.Optional[int] = None) -> str:
    return text[max(start, 0) : len(text) if end is None else max(end, 0)]


def _slice_index(index: int, items: t.Sequence[t.Any]) -> t.Any:
    """Negative counts from the end; what lies outside is moved to the nearest item."""
    if not items:
        return ""
    position = index + len(items) if index < 0 else index
    return items[min(max(position, 0), len(items) - 1)]


def _map_index(key: str, mapping: t.Optional[t.Mapping[str, t.Any]]) -> t.Any:
    return (mapping or {}).get(key, "")


def _match_all(pattern: str, items: t.Sequence[str]) -> t.List[str]:
    return [item for item in items if re.search(pattern, item)]


def _match_first(pattern: str, items: t.Sequence[str]) -> str:
    return next(iter(_match_all(pattern, items)), "")


def _http_get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=HTTP_TIMEOUT_S) as answer:
            return bytes(answer.read())
    except (urllib.error.URLError, OSError, ValueError):
        return b""


def _json_parse(document: t.Union[bytes, str], path: str) -> str:
    """Return what lies at ``key::key`` in a JSON document; an empty string when it is not there."""
    try:
        value = json.loads(document)
        for key in path.split("::"):
            value = value[int(key)] if isinstance(value, list) else value[key]
    except (ValueError, LookupError, TypeError):
        return ""
    return text_of(value)


def _index(value: t.Any, *keys: t.Any) -> t.Any:
    for key in keys:
        value = value.get(key, "") if isinstance(value, t.Mapping) else value[key]
    return value


def _printf(pattern: str, *values: t.Any) -> str:
    return re.sub(r"%[vsd]", "%s", pattern) % tuple(text_of(value) for value in values)


FUNCTIONS: t.Dict[str, t.Callable[..., t.Any]] = {
    "strSlice": _str_slice,
    "sIndex": _slice_index,
    "mIndex": _map_index,
    "toUpper": lambda text: text.upper(),
    "toLower": lambda text: text.lower(),
    "replace": lambda count, old, new, text: text.replace(old, new, count),
    "join": lambda separator, items: separator.join(items),
    "split": lambda separator, text: text.split(separator) if separator else list(text),
    "splitIndex": lambda index, separator, text: _slice_index(index, text.split(separator)),
    "matchFirstElement": _match_first,
    "matchAllElements": _match_all,
    "httpGet": _http_get,
    "jsonParse": _json_parse,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
    "not": lambda value: not value,
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, second: first != second,
    "lt": lambda first, second: first < second,
    "le": lambda first, second: first <= second,
    "gt": lambda first, second: first > second,
    "ge": lambda first, second: first >= second,
    "index": _index,
    "len": len,
    "print": lambda *values: "".join(text_of(value) for value in values),
    "printf": _printf,
}
