# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of Go's ``text/template`` that ``-tags`` is used with.

Text with actions in ``{{ }}``: fields of the inspected container (``.Config.Labels``), strings, numbers, function
calls, pipes, parentheses, ``if``/``else if``/``else``/``end``, ``range``, ``with``, ``{{-`` and ``-}}``, comments.
Variables, ``define`` and ``template`` are not understood and are refused when the template is read.
"""

from __future__ import annotations

import re
import typing as t

from .template_functions import FUNCTIONS, TemplateError, text_of

__all__ = ["Template", "TemplateError"]

Dot = t.Any
Node = t.Callable[[Dot], str]
Expression = t.Callable[[Dot], t.Any]

ACTION = re.compile(r"(?P<left>\s+(?=\{\{- ))?\{\{(?:- )?(?P<action>(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|/\*.*?\*/|[^}\"`]|\}(?!\}))*?)(?P<right> -)?\}\}", re.S)
TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:\\.|[^"\\])*"|`[^`]*`)|(?P<number>-?\d+)|(?P<field>(?:\.[A-Za-z_]\w*)+|\.)"""
    r"""|(?P<word>[A-Za-z_]\w*)|(?P<sign>[|()]))""",
)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "'": "'"}
ENDS = ("end", "else")


class Template:
    """A template, read once. Raises TemplateError when it cannot be read, and when it is filled in with nonsense."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._pieces = _split(text)
        self._render, end = self._sequence()
        if end:
            raise TemplateError(f"unexpected {{{{{end}}}}}")

    def render(self, container: t.Mapping[str, t.Any]) -> str:
        """Return the text for one container, given as the engine's inspect answers it."""
        return self._render(container)

    def _sequence(self) -> t.Tuple[Node, str]:
        """Read up to an ``else`` or ``end`` and return what was read, and that action's text ("" at the very end)."""
        nodes: t.List[Node] = []
        while self._pieces:
            is_action, piece = self._pieces.pop(0)
            if not is_action:
                nodes.append(_constant(piece))
                continue
            keyword, _space, rest = piece.strip().partition(" ")
            if keyword in ENDS:
                return _concatenation(nodes), piece.strip()
            if keyword in ("if", "with", "range"):
                nodes.append(self._block(keyword, rest))
            elif piece.strip():
                nodes.append(_printed(_Parser(piece).whole()))
        return _concatenation(nodes), ""

    def _block(self, keyword: str, condition: str) -> Node:
        """Read an ``if``, ``with`` or ``range`` up to its ``end``."""
        expression = _Parser(condition).whole()
        body, end = self._sequence()
        otherwise = _constant("")
        if end.startswith("else"):
            following = end[len("else") :].strip()
            if following.startswith("if "):
                otherwise, end = self._block("if", following[len("if ") :]), "end"
            else:
                otherwise, end = self._sequence()
        if end != "end":
            raise TemplateError(f"{{{{{keyword}}}}} without {{{{end}}}}")
        return _branch(keyword, expression, body, otherwise)


def _branch(keyword: str, expression: Expression, body: Node, otherwise: Node) -> Node:
    def render(dot: Dot) -> str:
        value = expression(dot)
        if not value:
            return otherwise(dot)
        if keyword == "range":
            items = [value[key] for key in sorted(value)] if isinstance(value, dict) else value
            return "".join(body(item) for item in items)
        return body(value if keyword == "with" else dot)

    return render


def _constant(text: str) -> Node:
    return lambda dot: text


def _printed(expression: Expression) -> Node:
    return lambda dot: text_of(expression(dot))


def _concatenation(nodes: t.Sequence[Node]) -> Node:
    return lambda dot: "".join(node(dot) for node in nodes)


def _split(text: str) -> t.List[t.Tuple[bool, str]]:
    """Cut into (is an action, text)."""
    pieces: t.List[t.Tuple[bool, str]] = []
    position, trim = 0, False
    for match in ACTION.finditer(text):
        between = text[position : match.start()]
        pieces.append((False, between.lstrip() if trim else between))
        action = match["action"].strip()
        pieces.append((True, "" if action.startswith("/*") else action))
        position, trim = match.end(), bool(match["right"])
    last = text[position:]
    if "{{" in last:
        raise TemplateError(f"unclosed action: {last[last.index('{{') :]}")
    pieces.append((False, last.lstrip() if trim else last))
    return pieces


class _Parser:
    """Reads one pipeline: commands joined by ``|``, each given the result of the one before as its last argument."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)

    def whole(self) -> Expression:
        expression = self._pipeline()
        if self.tokens:
            raise TemplateError(f"unexpected {self.tokens[0][1]!r} in {self.text!r}")
        return expression

    def _pipeline(self) -> Expression:
        expression = self._command(None)
        while self.tokens and self.tokens[0] == ("sign", "|"):
            self.tokens.pop(0)
            expression = self._command(expression)
        return expression

    def _command(self, piped: t.Optional[Expression]) -> Expression:
        if not self.tokens:
            raise TemplateError(f"missing value in {self.text!r}")
        kind, word = self.tokens[0]
        operands: t.List[Expression] = []
        if kind == "word" and word not in CONSTANTS:
            self.tokens.pop(0)
            if word not in FUNCTIONS:
                raise TemplateError(f'function "{word}" not defined')
            while self.tokens and self.tokens[0] not in (("sign", "|"), ("sign", ")")):
                operands.append(self._operand())
            return _call(word, operands + ([piped] if piped else []))
        if piped:
            raise TemplateError(f"{word!r} is not a function, nothing can be piped into it")
        return self._operand()

    def _operand(self) -> Expression:
        kind, word = self.tokens.pop(0)
        if (kind, word) == ("sign", "("):
            expression = self._pipeline()
            if not self.tokens or self.tokens.pop(0) != ("sign", ")"):
                raise TemplateError(f"unclosed parenthesis in {self.text!r}")
            return expression
        if kind == "field":
            names = [name for name in word.split(".") if name]
            return lambda dot: _field(dot, names)
        if kind == "word" and word in FUNCTIONS:
            return _call(word, [])
        if kind == "word" and word not in CONSTANTS:
            raise TemplateError(f'function "{word}" not defined')
        if kind == "sign":
            raise TemplateError(f"unexpected {word!r} in {self.text!r}")
        value = _literal(kind, word)
        return lambda dot: value


CONSTANTS: t.Dict[str, t.Any] = {"true": True, "false": False, "nil": None}


def _tokens(text: str) -> t.List[t.Tuple[str, str]]:
    tokens, position = [], 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = TOKEN.match(stripped, position)
        if not match or not match.lastgroup:
            raise TemplateError(f"cannot read {stripped[position:].strip()!r}")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


def _literal(kind: str, word: str) -> t.Any:
    if kind == "number":
        return int(word)
    if kind == "word":
        return CONSTANTS[word]
    if word.startswith("`"):
        return word[1:-1]
    return re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[0]), word[1:-1])


def _call(name: str, operands: t.Sequence[Expression]) -> Expression:
    def evaluate(dot: Dot) -> t.Any:
        try:
            return FUNCTIONS[name](*[operand(dot) for operand in operands])
        except (TypeError, ValueError, LookupError, AttributeError, re.error) as error:
            raise TemplateError(f"error calling {name}: {error}") from None

    return evaluate


def _field(value: t.Any, names: t.Sequence[str]) -> t.Any:
    """Follow field names; Go's spelling (``.ID``) finds the engine's (``Id``); a missing map key is an empty string."""
    for name in names:
        if not isinstance(value, t.Mapping):
            raise TemplateError(f"can't evaluate field {name}")
        if name in value:
            value = value[name]
            continue
        alike = [key for key in value if key.lower() == name.lower()]
        if not alike and "Id" in value and "Config" in value:
            raise TemplateError(f"can't evaluate field {name} in a container")
        value = value[alike[0]] if alike else ""
    return value
