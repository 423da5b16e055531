# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write what follows from the argument specifications: each option is documented once, in the module or role that has it.

    python docs/render.py [--check]

- a role that hands its options to a module gets them from the module's documentation: into `meta/argument_specs.yml`,
  `defaults/main.yml` and the call in `tasks/`, between the lines `# BEGIN rendered` and `# END rendered`;
- each role's README gets its table of variables, between `<!-- BEGIN ARGUMENTS -->` and `<!-- END ARGUMENTS -->`;
- READMEs get the plays that Molecule runs, between `<!-- BEGIN EXAMPLE name -->` and `<!-- END EXAMPLE -->`;
- `galaxy.yml` gets its other addresses from that of the repository;
- wherever a release of Consul's image is named, it is the one of `NEWEST_KNOWN` in `_consul/versions.py`, but for places that name
  releases on purpose: the changelog, unit tests, and the public workflow with its matrix.

With --check nothing is written, and the exit status is 1 when something is not as it would be written.
"""

from __future__ import annotations

import importlib.util
import pathlib
import re
import subprocess
import sys
import typing as t

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
Json = t.Dict[str, t.Any]

YAML_MARKS = (re.compile(r"^( *)# BEGIN rendered[^\n]*\n", re.M), re.compile(r"^ *# END rendered", re.M))
HTML_MARKS = (re.compile(r"^()<!-- BEGIN ARGUMENTS -->\n", re.M), re.compile(r"^<!-- END ARGUMENTS -->", re.M))

EXAMPLE_MARKS = (re.compile(r"^()<!-- BEGIN EXAMPLE \w+ -->\n", re.M), re.compile(r"^<!-- END EXAMPLE -->", re.M))
RELEASES = ROOT / "plugins" / "module_utils" / "_consul" / "versions.py"
IMAGE = re.compile(r"(?<=hashicorp/consul:)\d+\.\d+\.\d+")
ON_PURPOSE = (".github/", "CHANGELOG.rst", "changelogs/", "tests/unit/")

EXAMPLES = ROOT / "molecule" / "many_hosts" / "examples"


class Dumper(yaml.SafeDumper):
    """Block style with indented lists, as yamllint wants it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


Dumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "{{" in text or re.match(r"^\d+:\d+$", text) else None)
)


def documentation(path: pathlib.Path, kind: str) -> Json:
    """The DOCUMENTATION of a module or fragment file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    source = path.read_text(encoding="utf-8")
    match = re.search(r'DOCUMENTATION = r"""(.*?)"""', source, re.S)
    if spec is None or match is None:
        raise SystemExit(f"{path} has no documentation of its {kind}")
    return t.cast(Json, yaml.safe_load(match[1]))


def module_options(name: str) -> Json:
    """A module's options with those of its fragments, sorted."""
    own = documentation(ROOT / "plugins" / "modules" / f"{name}.py", "module")
    options: Json = {}
    for fragment in own.get("extends_documentation_fragment", []):
        options.update(documentation(ROOT / "plugins" / "doc_fragments" / f"{fragment.rpartition('.')[2]}.py", "fragment").get("options", {}))
    options.update(own["options"])
    return dict(sorted(options.items()))


def role_options(role: str, source: Json) -> Json:
    """The module's options as the role's variables."""
    found = {}
    for name, option in module_options(source["module"]).items():
        if name in source["leave_out"]:
            continue
        own = {}
        if name in source["defaults"]:
            default = source["defaults"][name]
            own = {"required": False, "default": default.strip() if isinstance(default, str) else default}
        found[f"{role}_{name}"] = _for_role(name, {**option, **own}, role, source)
        if name in source.get("resolved", {}):
            found[f"{role}_{name}"].pop("default", None)
            found[f"{role}_{name}"]["description"].append(source["resolved"][name].strip())
    return found


def _for_role(name: str, option: Json, role: str, source: Json) -> Json:
    """The option with the marks of the module's documentation turned into the role's plain text."""
    names = module_options(source["module"])

    def plain(text: str) -> str:
        text = re.sub(r"O\((\w+)(=[^)]*)?\)", lambda m: f"{role}_{m[1]}{m[2] or ''}" if m[1] in names else m[1], text)
        return re.sub(r"\b[VCE]\(((?:[^()]|\([^()]*\))*)\)|RV\(([^)]*)\)", lambda m: f"'{m[1] or m[2]}'", text)

    description = option["description"] if isinstance(option["description"], list) else [option["description"]]
    kept = {key: option[key] for key in ("type", "elements", "choices", "default") if key in option}
    if option.get("required"):
        kept["required"] = True
    if option.get("type") == "path":
        kept["type"] = "str"
    if option.get("elements") == "path":
        kept["elements"] = "str"
    if re.search(rf'"{name}": \{{[^}}]*"no_log": True', (ROOT / "plugins" / "modules" / f"{source['module']}.py").read_text(encoding="utf-8")):
        kept["no_log"] = True
    return {"description": [plain(line) for line in description], **kept}


def dump(data: t.Any) -> str:
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, width=146, allow_unicode=True)


def indent(text: str, by: str) -> str:
    return "".join(by + line if line.strip() else line for line in text.splitlines(keepends=True))


def between(text: str, marks: tuple[re.Pattern[str], re.Pattern[str]], body: t.Callable[[str], str]) -> str:
    """`text` with what is between the marks replaced; unchanged when it has none."""
    begin = marks[0].search(text)
    if begin is None:
        return text
    end = marks[1].search(text, begin.end())
    if end is None:
        raise SystemExit("a BEGIN mark has no END")
    return text[: begin.end()] + body(begin[1]) + text[end.start() :]


def call(role: str, options: Json, resolved: t.Container[str]) -> str:
    """The arguments of the role's call of its module. What the role resolves is in its variable of that name, with two underscores in front."""
    lines = []
    for name, option in options.items():
        given = f"{name} | default(omit)" if "default" not in option and not option.get("required") else name
        if name[len(role) + 1 :] in resolved:
            given = f"__{name}"
        lines.append(f'{name[len(role) + 1 :]}: "{{{{ {given} }}}}"\n')
    return "".join(lines)


def table(specs: Json) -> str:
    """A README's table of variables, and what its other entry points are for."""
    main = specs["argument_specs"]["main"]
    others = {entry: spec for entry, spec in specs["argument_specs"].items() if entry != "main"}
    out = "\n" + _options(main["options"]) + "\n"
    if others:
        out += "## Entry points\n\nOther roles and playbooks use these with `include_role` and `tasks_from`. They take the variables above, too.\n"
    for entry, spec in others.items():
        out += f"\n### {entry}\n\n{spec['short_description']}. {' '.join(_lines(spec['description']))}\n"
        out += "\n" + _options(spec["options"]) if spec["options"] else ""
    return out + "\n" if others else out


def _options(options: Json) -> str:
    out = "| variable | type | default | meaning |\n|---|---|---|---|\n"
    for name, option in sorted(options.items()):
        kind = option.get("type", "str") + (f" of {option['elements']}" if "elements" in option else "")
        default = "**required**" if option.get("required") else f"`{_inline(option['default'])}`" if "default" in option else ""
        choices = f" One of {', '.join(f'`{choice}`' for choice in option['choices'])}." if "choices" in option else ""
        text = " ".join(_lines(option["description"])) + choices
        out += f"| `{name}` | {kind} | {default} | {text.replace('|', chr(92) + '|')} |\n"
    return out


def example(text: str) -> str:
    """`text` with the example that it names, which is one of those that are tested."""
    found = re.search(r"<!-- BEGIN EXAMPLE (\w+) -->", text)
    if found is None:
        return text
    play = re.sub(r"\A---\n(#[^\n]*\n)*", "", (EXAMPLES / f"{found[1]}.yml").read_text(encoding="utf-8"))
    return between(text, EXAMPLE_MARKS, lambda _by: f"\n```yaml\n{play}```\n\n")


def addresses(text: str) -> str:
    """`galaxy.yml` with every address made of the repository's."""
    repository = yaml.safe_load(text)["repository"]
    for key, below in (("documentation", "/docs"), ("homepage", ""), ("issues", "/issues")):
        text = re.sub(rf"^{key}: .*$", f"{key}: {repository}{below}", text, flags=re.M)
    return text


def _lines(text: str | list[str]) -> list[str]:
    return [line.strip() for line in ([text] if isinstance(text, str) else text)]


def _inline(value: t.Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).strip().removesuffix("...").strip().replace("|", "\\|")


def release() -> str:
    """The release of Consul that is deployed by default."""
    found = re.search(r"^NEWEST_KNOWN: Version = \((\d+), (\d+), (\d+)\)$", RELEASES.read_text(encoding="utf-8"), re.M)
    if found is None:
        raise SystemExit(f"{RELEASES} names no NEWEST_KNOWN")
    return ".".join(found.groups())


def with_release() -> t.Iterator[tuple[pathlib.Path, str]]:
    """Each file and what it should hold, the default release in it."""
    texts = dict(rendered())
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink() and not name.startswith(ON_PURPOSE):
            texts.setdefault(path, path.read_text(encoding="utf-8", errors="surrogateescape"))
    number = release()
    yield from ((path, IMAGE.sub(number, text)) for path, text in texts.items())


def rendered() -> t.Iterator[tuple[pathlib.Path, str]]:
    """What follows from the argument specifications, without the default release."""
    specs_by_role: dict[pathlib.Path, str] = {}
    for role, source in yaml.safe_load((ROOT / "docs" / "render.yml").read_text(encoding="utf-8")).items():
        folder = ROOT / "roles" / role
        if not folder.is_dir():
            continue
        options = role_options(role, source)
        defaults = {name: option["default"] for name, option in options.items() if "default" in option}
        for path in sorted([folder / "meta" / "argument_specs.yml", folder / "defaults" / "main.yml", *(folder / "tasks").glob("*.yml")]):
            body = (
                dump(options)
                if path.parent.name == "meta"
                else dump(defaults)
                if path.parent.name == "defaults"
                else call(role, options, source.get("resolved", {}))
            )
            text = between(path.read_text(encoding="utf-8"), YAML_MARKS, lambda by, body=body: indent(body, by))  # type: ignore[misc]
            specs_by_role[path] = text
            yield path, text
    for readme in sorted((ROOT / "roles").glob("*/README.md")):
        path = readme.parent / "meta" / "argument_specs.yml"
        specs = yaml.safe_load(specs_by_role.get(path) or path.read_text(encoding="utf-8"))
        yield readme, between(example(readme.read_text(encoding="utf-8")), HTML_MARKS, lambda _by, specs=specs: table(specs))  # type: ignore[misc]
    yield ROOT / "README.md", example((ROOT / "README.md").read_text(encoding="utf-8"))
    yield ROOT / "galaxy.yml", addresses((ROOT / "galaxy.yml").read_text(encoding="utf-8"))


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale = [(path, text) for path, text in with_release() if path.read_text(encoding="utf-8", errors="surrogateescape") != text]
    for path, text in stale:
        print(f"{'stale' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
