"""The README is checked, not trusted: what it names must exist, and what exists must be named."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RULES = (ROOT / "docs" / "rules-and-detectors.md").read_text(encoding="utf-8")
MODELS = ROOT / "dbt_project" / "models" / "ads"


def make_targets() -> list[str]:
    return re.findall(r"^([a-z][a-z-]*):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def project_vars() -> dict[str, list[str]]:
    found = yaml.safe_load((ROOT / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    return {name: found[name] for name in ("detectors", "rules")}


@pytest.mark.parametrize("target", make_targets())
def test_every_make_target_is_documented(target: str) -> None:
    assert target == "help" or f"make {target}" in README, f"README.md does not mention `make {target}`"


def test_no_make_target_is_invented() -> None:
    named = set(re.findall(r"`make ([a-z][a-z-]*)`", README))
    assert named <= set(make_targets())


def test_every_command_is_documented() -> None:
    from aegis.cli.main import build

    commands = {
        command.name or command.callback.__name__
        for command in build().registered_commands
        if command.callback
    }
    groups = {group.name for group in build().registered_groups if group.name}
    missing = {name for name in commands | groups if not re.search(rf"\b{name}\b", README)}
    assert not missing, f"README.md does not mention: {', '.join(sorted(missing))}"


@pytest.mark.parametrize("platform", ["Meta", "TikTok", "Google", "Pinterest", "Shopify"])
def test_every_platform_is_documented(platform: str) -> None:
    assert platform in README


@pytest.mark.parametrize(("kind", "prefix"), [("rules", "rec_"), ("detectors", "anomaly_")])
def test_every_rule_and_detector_is_documented_and_lies_in_its_folder(kind: str, prefix: str) -> None:
    words = project_vars()[kind]
    assert words, f"the {kind} var is empty"
    assert {f"{prefix}{word}" for word in words} == {
        file.stem for file in (MODELS / kind).glob(f"{prefix}*.sql")
    }
    missing = [word for word in words if f"`{prefix}{word}`" not in RULES]
    assert not missing, f"docs/rules-and-detectors.md does not explain: {', '.join(missing)}"


def test_every_linked_file_exists() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", README + RULES):
        assert (ROOT / link).exists() or (ROOT / "docs" / link).exists(), f"a link leads nowhere: {link}"


def test_every_folder_is_explained() -> None:
    folders = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    top = {
        name.split("/")[0]
        for name in folders
        if "/" in name and not name.startswith((".", "tests/", "scripts/"))
    }
    missing = [name for name in sorted(top) if f"`{name}/" not in README]
    assert not missing, f"README.md does not say what is in: {', '.join(missing)}"
