# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The templates of ``-tags``."""

from __future__ import annotations

import pytest
from containers import container
from registrator.template import Template, TemplateError

CONTAINER = container(labels={"com.x": "arn:aws:task/abc", "n": "5"}, env=["A=1", "SERVICE_NAME=web", "SERVICE_X=2"])


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("plain,text", "plain,text"),
        ("id-{{strSlice .ID 0 4}}", "id-01ab"),
        ("{{strSlice .ID 60}}", "4567"),
        ("{{.Name}}", "/web.1"),
        ("{{ .Config.Hostname }}", "abc"),
        ('{{mIndex "com.x" .Config.Labels | splitIndex -1 "/"}}', "abc"),
        ('{{mIndex "none" .Config.Labels}}', ""),
        ("{{sIndex 0 .Config.Env}} {{sIndex -1 .Config.Env}} {{sIndex 99 .Config.Env}}", "A=1 SERVICE_X=2 SERVICE_X=2"),
        ("{{toUpper .Name}}{{toLower `AbC`}}", "/WEB.1abc"),
        ('{{replace -1 "b" "x" "abba"}} {{"abba" | replace 1 "b" "x"}}', "axxa axba"),
        ('{{join "+" .Config.Env}}', "A=1+SERVICE_NAME=web+SERVICE_X=2"),
        ('{{split "," "a,b" | join "-"}}', "a-b"),
        ('{{matchFirstElement "^SERVICE_" .Config.Env}}', "SERVICE_NAME=web"),
        ('{{matchAllElements "^SERVICE_" .Config.Env | join ";"}}', "SERVICE_NAME=web;SERVICE_X=2"),
        ('{{jsonParse `{"a":{"b":"c"}}` "a::b"}}', "c"),
        ('{{jsonParse "no json" "a"}}', ""),
        ("{{if .Config.Hostname}}yes{{else}}no{{end}}", "yes"),
        ('{{if eq .Name "/x"}}x{{else if eq .Name "/web.1"}}web{{else}}none{{end}}', "web"),
        ("{{range .Config.Env}}<{{.}}>{{end}}", "<A=1><SERVICE_NAME=web><SERVICE_X=2>"),
        ("{{with .Config}}{{.Hostname}}{{end}}", "abc"),
        ('{{index .Config.Labels "n"}}{{index .Config.Env 0}}', "5A=1"),
        ("a {{- /* gone */ -}} b", "ab"),
        ("{{.Config.Env}}", "[A=1 SERVICE_NAME=web SERVICE_X=2]"),
        ('{{(split "," "a,b") | sIndex 1}}', "b"),
        ('{{"a}}b"}}', "a}}b"),
    ],
)
def test_rendering(text: str, wanted: str) -> None:
    assert Template(text).render(CONTAINER) == wanted


@pytest.mark.parametrize(
    "text", ["{{", "{{.Name", "{{nope .Name}}", "{{if .Name}}x", "{{end}}", "{{.Name | .ID}}", "{{$x := 1}}", "{{(.Name}}", "{{.Name)}}", "{{| toUpper}}"]
)
def test_what_cannot_be_read_is_refused_at_once(text: str) -> None:
    with pytest.raises(TemplateError):
        Template(text)


@pytest.mark.parametrize(
    "text", ["{{.Nope}}", "{{.Name.Nope}}", "{{toUpper 5}}", "{{strSlice .Name}}", "{{index .Config.Env 9}}", '{{matchFirstElement "(" .Config.Env}}']
)
def test_nonsense_is_a_template_error(text: str) -> None:
    with pytest.raises(TemplateError):
        Template(text).render(CONTAINER)
