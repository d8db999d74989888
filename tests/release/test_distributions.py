"""What is uploaded has what it needs, and nothing else."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from markdown_it import MarkdownIt
from packaging.metadata import Metadata

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "lbproto": ROOT,
    **{
        f"lbproto_{each.parent.name}": each.parent for each in ROOT.glob("plugins/*/pyproject.toml")
    },
}

each_distribution = pytest.mark.parametrize("name", sorted(FOLDERS))


def project(name: str) -> dict[str, object]:
    table: dict[str, object] = tomllib.loads((FOLDERS[name] / "pyproject.toml").read_text())
    return table


def packages(name: str) -> list[str]:
    table: object = project(name)
    for key in ("tool", "hatch", "build", "targets", "wheel", "packages"):
        assert isinstance(table, dict)
        table = table[key]
    assert isinstance(table, list)
    return table


def wheel(built: Path, name: str) -> dict[str, bytes]:
    """The files of a wheel."""
    (path,) = built.glob(f"{name}-*.whl")
    assert path.name.endswith("-py3-none-any.whl")
    with ZipFile(path) as archive:
        assert archive.testzip() is None
        return {each: archive.read(each) for each in archive.namelist()}


def source(built: Path, name: str) -> dict[str, bytes]:
    """The files of a source distribution, without the folder they are all in."""

    def files(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None, f"{member.name} is not a file"
            yield member.name.partition("/")[2], content.read()

    (path,) = built.glob(f"{name}-*.tar.gz")
    with tarfile.open(path) as archive:
        return dict(files(archive))


def in_tree(folder: Path, *under: str) -> dict[str, bytes]:
    """What git knows there, but what has just been removed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *under],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
    )
    if listed.returncode:
        if os.environ.get("CI"):
            pytest.fail(listed.stderr)
        pytest.skip("this is not a git checkout")
    paths = [each for each in listed.stdout.split("\0") if each and (folder / each).is_file()]
    return {each: (folder / each).read_bytes() for each in paths}


@each_distribution
def test_a_wheel_is_its_packages_as_they_are_in_the_tree(name: str, built: Path) -> None:
    found = {
        path: content for path, content in wheel(built, name).items() if ".dist-info/" not in path
    }
    assert found == in_tree(FOLDERS[name], *packages(name))
    assert {f"{each}/py.typed" for each in packages(name) if each != "pytest_lbproto"} <= {*found}
    tests = [path for path in found if Path(path).name.startswith(("test_", "conftest."))]
    assert [path for path in tests if not path.endswith(".tmpl")] == []


@each_distribution
def test_a_source_distribution_has_nothing_that_is_not_in_the_tree(name: str, built: Path) -> None:
    found = source(built, name)
    made = {"PKG-INFO", ".gitignore"}
    assert {*found} - {*in_tree(FOLDERS[name])} <= made
    assert {"LICENSE", "README.md", "pyproject.toml"} <= {*found}


def test_the_core_s_source_distribution_has_its_tests_and_documents(built: Path) -> None:
    found = source(built, "lbproto")
    assert {"CHANGELOG.md", "SECURITY.md", "conftest.py"} <= {*found}
    for folder in ("docs/", "examples/", "tests/"):
        assert any(path.startswith(folder) for path in found)


@each_distribution
def test_nothing_tells_where_it_was_built(name: str, built: Path) -> None:
    for files in (wheel(built, name), source(built, name)):
        for path, content in files.items():
            assert os.fsencode(ROOT) + b"/" not in content, path


@each_distribution
def test_the_metadata_is_valid_and_whole(name: str, built: Path) -> None:
    files = wheel(built, name)
    (path,) = [each for each in files if each.endswith(".dist-info/METADATA")]
    metadata = Metadata.from_email(files[path], validate=True)
    assert metadata.license_expression == "MIT"
    assert metadata.license_files == ["LICENSE"]
    (licence,) = [each for each in files if each.endswith(".dist-info/licenses/LICENSE")]
    assert files[licence] == (ROOT / "LICENSE").read_bytes()
    assert metadata.requires_python == ">=3.11"
    assert metadata.summary is not None
    assert metadata.summary.endswith(".")
    assert {"Typing :: Typed", "Intended Audience :: Developers"} <= {*(metadata.classifiers or ())}
    assert metadata.keywords


@each_distribution
def test_the_readme_renders(name: str, built: Path) -> None:
    files = wheel(built, name)
    (path,) = [each for each in files if each.endswith(".dist-info/METADATA")]
    metadata = Metadata.from_email(files[path], validate=True)
    assert metadata.description_content_type == "text/markdown"
    assert metadata.description == (FOLDERS[name] / "README.md").read_text()
    page = MarkdownIt("gfm-like", {"linkify": False}).render(metadata.description)
    assert page.startswith("<h1>")


@each_distribution
def test_what_it_requires_is_bound_below(name: str, built: Path) -> None:
    """And what is of this repository, to the minor version that it is made for."""
    files = wheel(built, name)
    (path,) = [each for each in files if each.endswith(".dist-info/METADATA")]
    metadata = Metadata.from_email(files[path], validate=True)
    series = f"{metadata.version.major}.{metadata.version.minor}"
    following = f"{metadata.version.major}.{metadata.version.minor + 1}"
    for each in metadata.requires_dist or ():
        if each.name == "lbproto" and name == "lbproto":
            continue  # an extra that has others in it
        bounds = {(bound.operator, bound.version) for bound in each.specifier}
        if each.name.startswith("lbproto"):
            assert bounds == {(">=", series), ("<", following)}, str(each)
        else:
            assert [operator for operator, _ in bounds] == [">="], str(each)
