# Copyright (c) The discovery.consul contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are rendered when something changed, checked, and put back when that fails."""

from __future__ import annotations

import grp
import logging
import os
import pathlib
import pwd
import signal
import stat
import subprocess
import sys
import time
import typing as t

import consul_discovery
import pytest
from consul_discovery import Client, ConfigurationError
from consul_discovery.render import config
from consul_discovery.render.command import run
from consul_discovery.render.config import Service, Template
from consul_discovery.render.errors import RenderError
from consul_discovery.render.renderer import Renderer
from consul_discovery.render.target import Target
from fake_consul import FakeConsul, entry, eventually

TEMPLATE = """\
{% for one in web %}
server {{ one.netloc }};
{% endfor %}
"""


class Files:
    """A configuration, its template, and commands that note when they ran."""

    def __init__(self, folder: pathlib.Path, url: str, log: pytest.LogCaptureFixture) -> None:
        self.folder, self.url, self.log = folder, url, log
        log.set_level(logging.INFO, "consul_discovery.render")
        self.target, self.commands = folder / "target/web.conf", folder / "commands"
        self.target.parent.mkdir()
        self.commands.touch()
        self.template(TEMPLATE)
        self.write()

    def template(self, text: str) -> None:
        (self.folder / "web.j2").write_text(text)

    def write(self, more: str = "", services: str = "[template.services.web]\n") -> None:
        (self.folder / "render.toml").write_text(
            f'[agent]\nurl = "{self.url}"\n[[template]]\nsource = "web.j2"\ntarget = "{self.target}"\nquiet = {{min = 0.05, max = 0.5}}\n{more}\n{services}'
        )

    def command(self, word: str, code: int = 0, says: str = "") -> str:
        """Return, as TOML, a command that notes what the target holds."""
        script = f"echo {word} $(cat {self.target} 2>/dev/null) >> {self.commands}; echo '{says}'; exit {code}"
        return f'["sh", "-c", "{script}", "sh"]'

    def ran(self) -> t.List[str]:
        return self.commands.read_text().splitlines()

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        path = {"PYTHONPATH": str(pathlib.Path(consul_discovery.__file__).parents[1])}
        arguments = [sys.executable, "-m", "consul_discovery", "render", "--config", str(self.folder / "render.toml"), *words]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **path, **environment})

    def once(self) -> t.Tuple[bool, t.List[str]]:
        """Render in this process. Return whether all is well, and what was said."""
        self.log.clear()
        found = config.read(self.folder / "render.toml")
        with Client(**found.agent) as consul:  # type: ignore[arg-type]
            well = Renderer(found, consul).once(10)
        return well, [record.message for record in self.log.records]


@pytest.fixture
def files(tmp_path: pathlib.Path, consul: FakeConsul, caplog: pytest.LogCaptureFixture) -> Files:
    consul.set(entry("a", port=81), entry("b", port=82))
    return Files(tmp_path, consul.url, caplog)


def test_once_writes_checks_and_reloads_and_says_so_in_a_line(files: Files) -> None:
    files.write(f'check = {files.command("check")}\nreload = {files.command("reload")}\nmode = "0640"')
    text = "server 10.0.0.2:81; server 10.0.0.2:82;"
    assert files.once() == (True, [f"{files.target} written for 2 web; reloaded"])
    assert files.target.read_text() == text.replace("; ", ";\n") + "\n"
    assert files.ran() == [f"check {text}", f"reload {text}"]
    assert stat.S_IMODE(files.target.stat().st_mode) == 0o640
    assert os.listdir(files.target.parent) == ["web.conf"]


def test_the_same_bytes_are_not_written_again(files: Files) -> None:
    files.write(f"reload = {files.command('reload')}")
    files.once()
    before = files.target.stat().st_ino
    assert files.once() == (True, [])
    assert files.target.stat().st_ino == before and len(files.ran()) == 1


def test_a_check_of_the_candidate_comes_before_it_is_in_place(files: Files) -> None:
    files.target.write_text("old")
    script = f"test $(grep -c server $0) = 2 && echo candidate $(cat {files.target}) >> {files.commands}"
    files.write(f'check = ["sh", "-c", "{script}", "%s"]')
    assert files.once()[0]
    assert files.ran() == ["candidate old"]


@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize("fails", ["check", "reload", "candidate"])
def test_what_fails_is_put_back(files: Files, existed: bool, fails: str) -> None:
    if existed:
        files.target.write_text("old")
    check = files.command("check", code=int(fails == "check"), says="nginx: bad line")
    if fails == "candidate":
        check = '["sh", "-c", "echo nginx: bad line; false", "%s"]'
    files.write(f"check = {check}\nreload = {files.command('reload', code=int(fails == 'reload'), says='nginx: bad line')}")
    well, (line,) = files.once()
    assert not well
    assert f"{files.target} is left as it was: the {'check' if fails == 'candidate' else fails} failed (sh returned 1): nginx: bad line" in line
    assert os.listdir(files.target.parent) == (["web.conf"] if existed else [])
    if existed:
        assert files.target.read_text() == "old"
    if fails == "reload":
        assert files.ran()[-1] == ("reload old" if existed else "reload"), "the program is told to read the old one again"
    else:
        assert not [line for line in files.ran() if line.startswith("reload")]


def test_a_run_that_was_killed_in_between_is_taken_up(files: Files) -> None:
    files.target.write_text("old")
    files.write(f'check = ["sh", "-c", "echo $$ >> {files.commands}; exec sleep 600"]')
    process = files.start("--once")
    eventually(files.ran)
    process.kill()
    os.kill(int(files.ran()[0]), signal.SIGKILL)
    process.communicate()
    assert "server" in files.target.read_text() and sorted(os.listdir(files.target.parent)) == [".web.conf.before", "web.conf"]
    files.commands.write_text("")
    files.write(f"check = {files.command('check', code=1)}")
    assert not files.once()[0]
    assert files.target.read_text() == "old", "what was never proven is not what is put back"
    files.write(f"reload = {files.command('reload')}")
    assert files.once()[0] and os.listdir(files.target.parent) == ["web.conf"]
    assert files.ran()[-1].startswith("reload server")


def test_a_dry_run_shows_and_changes_nothing(files: Files) -> None:
    files.target.write_text("server 10.0.0.2:81;\nserver 10.0.0.9:1;\n")
    files.write(f"check = {files.command('check')}\nreload = {files.command('reload')}")
    process = files.start("--dry-run")
    out, _unused = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out.splitlines()[2:] == ["@@ -1,2 +1,2 @@", " server 10.0.0.2:81;", "-server 10.0.0.9:1;", "+server 10.0.0.2:82;"]
    assert "10.0.0.9" in files.target.read_text() and files.ran() == []


def test_the_first_render_waits_for_all_services(consul: FakeConsul, files: Files) -> None:
    from fake_consul import HANG, http

    files.write(services="[template.services.web]\n[template.services.api]\n")
    consul.script = lambda request: HANG if request.path.endswith("api") else http([entry()])
    process = files.start("--once", "--timeout", "0.5")
    _unused, err = process.communicate(timeout=30)
    assert process.returncode == 3 and "There is no list of api yet" in err
    assert not files.target.exists()


def test_changes_are_followed_when_it_is_quiet(consul: FakeConsul, files: Files) -> None:
    files.write(f"reload = {files.command('reload')}")
    process = files.start()
    eventually(lambda: len(files.ran()) == 1)
    for port in range(1, 6):
        consul.set(entry("a", port=port))
    eventually(lambda: files.target.read_text() == "server 10.0.0.2:5;\n" and len(files.ran()) > 1)
    assert len(files.ran()) < 6, "several changes are one reload"
    process.send_signal(signal.SIGTERM)
    _unused, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert err.splitlines()[-1] == f"{files.target} written for 1 web; reloaded"


def test_a_service_that_never_is_quiet_is_rendered_all_the_same(consul: FakeConsul, files: Files) -> None:
    files.write(f"reload = {files.command('reload')}")
    files.folder.joinpath("render.toml").write_text(files.folder.joinpath("render.toml").read_text().replace("min = 0.05", "min = 0.45"))
    process = files.start()
    eventually(lambda: len(files.ran()) == 1)
    end = time.monotonic() + 5
    for port in range(1, 60000):
        consul.set(entry("a", port=port))
        time.sleep(0.05)
        if len(files.ran()) > 2:
            break
        assert time.monotonic() < end
    process.kill()
    process.communicate()


def test_a_failure_waits_for_the_next_change(consul: FakeConsul, files: Files) -> None:
    files.write(f'check = ["sh", "-c", "! grep 666 {files.target}"]')
    process = files.start()
    eventually(files.target.exists)
    good = files.target.read_text()
    consul.set(entry("bad", port=666))
    assert process.stderr
    while "left as it was" not in process.stderr.readline():
        pass
    eventually(lambda: files.target.read_text() == good)
    consul.set(entry("good", port=80))
    eventually(lambda: files.target.read_text() == "server 10.0.0.2:80;\n")
    process.kill()
    process.communicate()


def test_an_empty_list_is_judged_as_in_the_library(consul: FakeConsul, files: Files) -> None:
    consul.rights = (403, b"ACL not found")
    process = files.start()
    eventually(files.target.exists)
    consul.set()
    assert process.stderr
    while "is not known to be what it was" not in process.stderr.readline():
        pass
    assert "81" in files.target.read_text()
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ web[0].tags[0] }}", "holds control characters"),
        ("{{ web[0].meta.k | word }}", "is no plain word"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ web[0].__class__ }}", "unsafe"),
        ("{{ web.append(1) }}", "'tuple object' has no attribute 'append'"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{% include '/etc/passwd' %}", "cannot be rendered"),
    ],
)
def test_a_template_that_fails_changes_nothing(consul: FakeConsul, files: Files, template: str, says: str) -> None:
    files.template(template)
    consul.set(entry("a", tags=["x\nlisten 1;"], Meta={"k": "a; b"}))
    well, (line,) = files.once()
    assert not well and says in line
    assert not files.target.exists()


def test_words_may_be_asked_for(consul: FakeConsul, files: Files) -> None:
    files.template("{% for one in web if one.meta.k is word %}{{ one.meta.k | word }} {% endfor %}")
    consul.set(entry("a", Meta={"k": "a; b"}), entry("b", Meta={"k": "eu-1"}))
    assert files.once()[0]
    assert files.target.read_text() == "eu-1 "


def test_a_link_stays_a_link(files: Files) -> None:
    real = files.folder / "real.conf"
    files.target.symlink_to(real)
    assert files.once()[0]
    assert files.target.is_symlink() and "server" in real.read_text()


def test_a_folder_that_is_missing_is_said(files: Files) -> None:
    files.target.parent.rmdir()
    well, (line,) = files.once()
    assert not well and "cannot be written: [Errno 2]" in line


def test_commands_do_not_get_the_token(files: Files) -> None:
    files.write(f'reload = ["sh", "-c", "env > {files.commands}"]')
    process = files.start("--once", CONSUL_HTTP_TOKEN="my-secret")
    process.communicate()
    assert process.returncode == 0
    assert files.ran() and "my-secret" not in files.commands.read_text()


def test_owner_and_group(files: Files) -> None:
    files.write(f'owner = "{pwd.getpwuid(os.getuid()).pw_name}"\ngroup = "{grp.getgrgid(os.getgid()).gr_name}"')
    assert files.once()[0]
    assert files.target.stat().st_uid == os.getuid()


def test_a_command_has_an_end() -> None:
    with pytest.raises(RenderError, match=r"the check took longer than 0\.1 s: sleep"):
        run("the check", ["sleep", "60"], 0.1)
    with pytest.raises(RenderError, match=r"the check cannot be run: .*No such file"):
        run("the check", ["/missing"], 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"holds no \[\[template\]\]"),
        ("x", "cannot be read"),
        ("[[template]]\n", "source and an absolute target are needed"),
        ('[[template]]\nsource = "a"\ntarget = "b"\n', "absolute target"),
        ('[[template]]\nsource = "a"\ntarget = "/b"\n', "no service is named"),
        ('[[template]]\nsource = "a"\ntarget = "/b"\ncheck = "nginx -t"\n[template.services.web]\n', "check is of the wrong type, str"),
        ('[[template]]\nsource = "a"\ntarget = "/b"\ncheck = [1]\n[template.services.web]\n', "there is no shell"),
        ('[[template]]\nsource = "a"\ntarget = "/b"\nmode = "9"\n[template.services.web]\n', "mode is text like"),
        ('[[template]]\nsource = "a"\ntarget = "/b"\nmode = 420\n[template.services.web]\n', "mode is of the wrong type"),
        ('[[template]]\nsource = "a"\ntarget = "/b"\nquiet = {min = 3}\n[template.services.web]\n', "quiet.min is more than quiet.max"),
        ('[[template]]\nsource = "a"\ntarget = "/b"\nquiet = {min = nan}\n[template.services.web]\n', "number of seconds"),
        ('[[template]]\nsource = "a"\ntarget = "/b"\n[template.services."my-web"]\n', "a template cannot name it"),
        ('[[template]]\nsource = "a"\ntarget = "/b"\n[template.services.web]\nempty = "x"\n', "empty must be one of"),
        ('[[template]]\nsource = "a"\ntarget = "/b"\n[template.services.web]\ntag = "x"\n', "unknown: tag"),
        ('[agent]\ntoken = "secret"\n[[template]]\n', "unknown: token"),
    ],
)
def test_what_is_wrong_in_the_configuration_is_said(tmp_path: pathlib.Path, text: str, says: str) -> None:
    file = tmp_path / "render.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=says) as error:
        config.read(file)
    assert str(file) in str(error.value)


def test_two_templates_do_not_share_a_target(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "render.toml"
    file.write_text('[[template]]\nsource = "a"\ntarget = "/b"\n[template.services.web]\n' * 2)
    with pytest.raises(ConfigurationError, match="same target"):
        config.read(file)


@pytest.mark.parametrize(("option", "says"), [("owner", "There is no user nobody-knows"), ("group", "There is no group nobody-knows")])
def test_an_unknown_owner_is_refused(tmp_path: pathlib.Path, option: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Target(Template(tmp_path, tmp_path / "x", {"web": Service("web")}, **{option: "nobody-knows"}))  # type: ignore[arg-type]


def test_wrong_templates_end_with_a_sentence(files: Files) -> None:
    files.template("{% for %}")
    process = files.start("--once")
    _unused, err = process.communicate()
    assert process.returncode == 2 and "is wrong in line 1" in err and "Traceback" not in err


def test_a_configuration_is_judged_without_consul(files: Files) -> None:
    files.url = "http://127.0.0.1:1"
    files.write()
    for more, template, code, says in (("", TEMPLATE, 0, ""), ("", "{% for %}", 2, "line 1"), ('owner = "nobody-knows"', TEMPLATE, 2, "no user nobody-knows")):
        files.template(template)
        files.write(more)
        process = files.start("--judge")
        _unused, err = process.communicate()
        assert process.returncode == code and says in err and "Traceback" not in err
    assert not files.target.exists()
