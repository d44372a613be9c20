"""The checking scripts must be able to fail: each is shown a fault it has to find."""

import pathlib
import subprocess
import sys

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"


def run(name, *arguments):
    command = [str(SCRIPTS / name), *map(str, arguments)]
    if name.endswith(".py"):
        command.insert(0, sys.executable)
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def tree(tmp_path):
    for path, text in {
        "src/base/error.h": '#include "hinet.h"\n',
        "src/graph/plan.h": '#include <stdio.h>\n#include "base/error.h"\n',
        "src/train/train.h": '#include "graph/plan.h"\n#include "base/error.h"\n',
        "src/serve/serve.h": '#include "graph/plan.h"\n',
        "src/cli/cli.h": '#include "hinet.h"\n',
        "src/cli/main.c": '#include "cli/cli.h"\n',
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_layers_accept_arrows_down(tree):
    result = run("check-layers.py", tree)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "path, included",
    [
        ("src/base/bad.c", "graph/plan.h"),
        ("src/graph/bad.c", "train/train.h"),
        ("src/train/bad.c", "serve/serve.h"),
        ("src/serve/bad.c", "train/train.h"),
        ("src/cli/bad.c", "base/error.h"),
        ("src/graph/bad.c", "plan.h"),
        ("src/graph/bad.c", "../base/error.h"),
        ("src/graph/bad.c", "base/absent.h"),
    ],
)
def test_layers_refuse_arrows_up(tree, path, included):
    (tree / path).write_text(f'/* one */\n  #  include "{included}"\n')
    result = run("check-layers.py", tree)
    assert result.returncode == 1
    assert f'{path}:2: ' in result.stderr and included in result.stderr


def test_layers_refuse_unknown_folders_and_empty_trees(tree, tmp_path_factory):
    (tree / "src/util").mkdir()
    assert "src/util" in run("check-layers.py", tree).stderr
    empty = tmp_path_factory.mktemp("empty")
    (empty / "src").mkdir()
    assert run("check-layers.py", empty).returncode == 1


HEADER = """
/* HN_API void hn_not_this(void); */
HN_API int hn_one(int x);
HN_API HN_MUST_USE const char *
hn_two(void);
"""


@pytest.mark.parametrize(
    "source, found",
    [
        ("int hn_one(int x) { return x; } const char *hn_two(void) { return 0; }", None),
        ("int hn_one(int x) { return x; }", "lacks hn_two"),
        ("int hn_one(int x) { return x; } int hn_two; int stray;", "exports stray"),
    ],
)
def test_exports_are_the_headers(tmp_path, source, found):
    (tmp_path / "a.c").write_text(source)
    (tmp_path / "a.h").write_text(HEADER)
    library = tmp_path / "a.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "a.c"], check=True)
    result = run("check-exports.sh", library, tmp_path / "a.h")
    assert result.returncode == (0 if found is None else 1)
    assert found is None and result.stderr == "" or found in result.stderr


def count(tmp_path, *cases):
    path = tmp_path / "r.xml"
    path.write_text("<testsuite>" + "".join(f"<testcase>{c}</testcase>" for c in cases) + "</testsuite>")
    result = run("count-tests.py", path)
    return result.stdout.strip(), result.returncode


def test_counts_are_of_cases(tmp_path):
    program = "<system-out>[  PASSED  ] 7 test(s).\n{}</system-out>"
    assert count(tmp_path, "") == ("1 passed, 0 failed", 0)
    assert count(tmp_path, program.format("")) == ("7 passed, 0 failed", 0)
    assert count(tmp_path, program.format("[  SKIPPED ] 2 test(s), listed below:")) == (
        "7 passed, 0 failed, 2 skipped", 0)
    failed = "<failure/>" + program.format("[  FAILED  ] 2 test(s), listed below:\n[  FAILED  ] x")
    assert count(tmp_path, failed, "") == ("8 passed, 2 failed", 1)
    assert count(tmp_path, "<failure/>", "") == ("1 passed, 1 failed", 1)
    assert count(tmp_path, "<skipped/>") == ("0 passed, 0 failed, 1 skipped", 1)
    assert count(tmp_path) == ("0 passed, 0 failed", 1)
