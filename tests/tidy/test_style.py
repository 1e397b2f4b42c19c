"""The style, as tests. None has a list of exceptions: change the code, or change the rule for everybody."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.codes import RejectReason
from tests.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
PACKAGES = ("engine", "gateway", "sim")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
ENGINE = [path for path in MODULES if path.is_relative_to(ROOT / "engine")]
MARKETS = sorted((ROOT / "engine" / "rules" / "markets").glob("*.toml"))

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
INDEX_ADDRESS = re.compile(r"https?://\S*(/simple|artifactory|pythonhosted)")
MACHINE_PATH = re.compile(r"(?<![\w.~}/-])/(?:home|root|Users|work)/\w")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def float_uses(tree: ast.Module) -> Iterator[str]:
    """Each place where a float is written, made or comes out of a division."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=float() | complex()):
                yield f"{node.lineno}: literal {node.value}"
            case ast.Name(id="float") | ast.Attribute(attr="float16" | "float32" | "float64" | "true_divide"):
                yield f"{node.lineno}: {ast.unparse(node)}"
            # A number cannot be divided by a text: `folder / "name"` joins paths.
            case ast.BinOp(op=ast.Div(), right=right) if not is_text(right):
                yield f"{node.lineno}: {ast.unparse(node)}"
            case ast.AugAssign(op=ast.Div()):
                yield f"{node.lineno}: {ast.unparse(node)}"


def is_command(tree: ast.Module) -> bool:
    """Whether the module is run with `python -m`: it ends in `if __name__ == "__main__"`."""
    return any(isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" for node in tree.body)


def unsourced(value: Any, key: str = "") -> Iterator[str]:
    """Dotted keys of tables that give a `value` without saying where it comes from."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from unsourced(item, f"{key}[{number}]")
    elif isinstance(value, dict):
        source = value.get("source")
        if "value" in value and not (isinstance(source, str) and source.strip()):
            yield key
        for name, item in value.items():
            yield from unsourced(item, f"{key}.{name}" if key else name)


def tracked_files() -> list[Path]:
    """Every file that is or would be committed."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode != 0:
        pytest.skip("not a git checkout: there are no tracked files")
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("path", ENGINE, ids=name_of)
def test_engine_has_no_float(path: Path) -> None:
    assert list(float_uses(tree_of(path))) == []


@pytest.mark.parametrize(
    "line", ["x = 0.5", "x = float(y)", "x = a / b", "x /= 2", "x = np.float64(1)", "x = 1 / len('a')"]
)
def test_the_float_rule_can_fail(line: str) -> None:
    assert list(float_uses(ast.parse(line)))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path)), f"{name_of(path)} has no docstring"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_commands_print(path: Path) -> None:
    tree = tree_of(path)
    prints = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert is_command(tree) or prints == [], f"{name_of(path)} prints in lines {prints}"


@pytest.mark.parametrize("path", MARKETS, ids=name_of)
def test_every_market_value_has_a_source(path: Path) -> None:
    assert list(unsourced(tomllib.loads(path.read_text(encoding="utf-8")))) == []


def test_the_source_rule_can_fail() -> None:
    bad = {"a": {"value": 1, "source": " "}, "b": [{"value": 2}], "c": {"value": 3, "source": "law"}}
    assert list(unsourced(bad)) == ["a", "b[0]"]


def test_reject_reasons_ascend_and_share_no_number() -> None:
    numbers = [int(reason) for reason in RejectReason.__members__.values()]
    assert numbers == sorted(set(numbers))


def test_file_names_say_what_is_inside() -> None:
    files = [*MODULES, *(path for folder in ("bench", "tests") for path in (ROOT / folder).rglob("*.py"))]
    assert [name_of(path) for path in files if path.stem.removeprefix("test_") in EMPTY_NAMES] == []


def test_no_file_names_a_package_index_or_somebodys_machine() -> None:
    found = []
    for path in tracked_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{name_of(path)}:{number}"
            for number, line in enumerate(lines, 1)
            if INDEX_ADDRESS.search(line) or MACHINE_PATH.search(line)
        ]
    assert found == []


@pytest.mark.parametrize("place", ["home/me", "root/x", "Users/me", "work/main"])
def test_the_machine_path_rule_can_fail(place: str) -> None:
    assert MACHINE_PATH.search(f'path = "/{place}"')
    assert not MACHINE_PATH.search(f"see https://example.org/{place}")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_has_one_place(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.right) == 1
