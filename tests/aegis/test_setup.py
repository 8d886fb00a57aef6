"""scripts/setup.py: where uv comes from on a bare machine, and that pip's configuration reaches it."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from aegis.settings import project_root

ROOT = project_root()


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, its folders moved to a temporary checkout."""
    spec = importlib.util.spec_from_file_location("aegis_setup", ROOT / "scripts" / "setup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout / name)
    monkeypatch.setattr(module, "ROOT", checkout)
    monkeypatch.setattr(module, "VENV", checkout / ".venv")
    monkeypatch.setattr(module, "TOOLS", checkout / ".uv")
    monkeypatch.setattr(module, "LOCK", checkout / "requirements.lock")
    monkeypatch.setattr(module, "STAMP", checkout / ".venv" / "aegis-stamp")
    for name in [one for one in os.environ if one.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return module


def platform_tag() -> str:
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return f"macosx_11_0_{machine}"
    kind = "manylinux_2_17" if platform.libc_ver()[0] == "glibc" else "musllinux_1_1"
    return f"{kind}_{machine}"


def make_wheel(folder: Path, version: str, works: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"uv-{version}-py3-none-{platform_tag()}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"uv-{version}.data/scripts/uv", f"#!/bin/sh\necho uv {version}\nexit {0 if works else 1}\n"
        )
    return path


def make_index(folder: Path, *wheels: Path, damaged: bool = False) -> str:
    page = folder / "uv"
    page.mkdir(parents=True)
    anchors = []
    for wheel in wheels:
        digest = hashlib.sha256(b"" if damaged else wheel.read_bytes()).hexdigest()
        anchors.append(f'<a href="{wheel.as_uri()}#sha256={digest}">{wheel.name}</a>')
    yanked = f'<a href="uv-99.0.0-py3-none-{platform_tag()}.whl" data-yanked="">yanked</a>'
    (page / "index.html").write_text("<html>" + yanked + "".join(anchors) + "</html>")
    return folder.as_uri()


# -- indexes ------------------------------------------------------------------------------------------------


def test_pip_settings_become_uvs(setup: ModuleType, tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://mirror.example/simple\nextra-index-url = file:///one\n  file:///two\n"
        "find-links = /a /b\ncert = /ca.pem\ntrusted-host = mirror.example\n[install]\nproxy = http://p.example:1\n"
    )
    env = setup.uv_environment({"PIP_CONFIG_FILE": str(config), "HOME": str(tmp_path)})
    assert env["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert env["UV_INDEX"] == "file:///one file:///two"
    assert env["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert env["UV_FIND_LINKS"] == "/a,/b"
    assert env["SSL_CERT_FILE"] == "/ca.pem"
    assert env["UV_INSECURE_HOST"] == "mirror.example"
    assert env["HTTPS_PROXY"] == "http://p.example:1"


def test_the_environment_wins_over_pips_files(setup: ModuleType, tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://file.example/simple\n")
    env = {"PIP_CONFIG_FILE": str(config), "PIP_INDEX_URL": "https://environment.example/simple"}
    assert setup.uv_environment(env)["UV_DEFAULT_INDEX"] == "https://environment.example/simple"


def test_a_users_pip_conf_is_found(setup: ModuleType, tmp_path: Path) -> None:
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nindex_url = https://home.example/simple\n"
    )
    assert setup.pip_settings({"HOME": str(tmp_path)})["index-url"] == "https://home.example/simple"


@pytest.mark.parametrize("own", [{"UV_INDEX": "https://own.example/simple"}, {}])
def test_uvs_own_settings_are_left_alone(setup: ModuleType, tmp_path: Path, own: dict[str, str]) -> None:
    if not own:
        (tmp_path / ".config" / "uv").mkdir(parents=True)
        (tmp_path / ".config" / "uv" / "uv.toml").write_text(
            '[[index]]\nurl = "https://own.example/simple"\n'
        )
    env = setup.uv_environment(
        {
            "HOME": str(tmp_path),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": "https://pip.example/simple",
            **own,
        }
    )
    assert "UV_DEFAULT_INDEX" not in env
    assert env.get("UV_INDEX") == own.get("UV_INDEX")


def test_without_a_home_the_cache_lies_in_the_checkout(setup: ModuleType) -> None:
    env = setup.uv_environment({"PIP_CONFIG_FILE": os.devnull})
    assert env["UV_CACHE_DIR"].startswith(str(setup.TOOLS))


# -- getting uv ---------------------------------------------------------------------------------------------


def lame_python(folder: Path, *missing: str) -> str:
    """A python3 like Debian's: `-m venv` and `-m pip` say they are not there."""
    path = folder / "python3"
    cases = "|".join(missing)
    path.write_text(
        f'#!/bin/sh\ncase "$2" in {cases}) echo "No module named $2" >&2; exit 1;; esac\nexec {sys.executable} "$@"\n'
    )
    path.chmod(0o755)
    return str(path)


def test_uv_on_path_comes_first(setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert setup.find_uv("/nonexistent") == str(program)


def test_each_way_is_tried_in_order(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(setup.shutil, "which", lambda _: None)
    tried: list[str] = []

    def failing(name: str) -> object:
        def way(python: str) -> Path:
            tried.append(name)
            raise setup.SetupError(f"{name} is not there")

        return way

    for name in ("uv_by_venv", "uv_by_pip_target", "uv_by_wheel"):
        monkeypatch.setattr(setup, name, failing(name))
    with pytest.raises(setup.SetupError) as caught:
        setup.find_uv("python3")
    assert tried == ["uv_by_venv", "uv_by_pip_target", "uv_by_wheel"]
    for said in ("uv_by_venv is not there", "python3-venv", "python3-pip", "PIP_INDEX_URL"):
        assert said in str(caught.value)


def test_a_python_without_venv_and_pip_gets_the_wheel_from_the_index(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = [make_wheel(tmp_path / "files", version) for version in ("0.9.30", "0.13.8", "0.13.10")]
    monkeypatch.setenv("PIP_INDEX_URL", make_index(tmp_path / "simple", *wheels))
    monkeypatch.setattr(setup.shutil, "which", lambda _: None)
    program = setup.find_uv(lame_python(tmp_path, "venv", "pip"))
    assert Path(program) == setup.TOOLS / "wheel" / "uv"
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "uv 0.13.10", "the newest, by number; never a yanked one"
    assert stat.S_IMODE(Path(program).stat().st_mode) == 0o755
    monkeypatch.setenv("PIP_INDEX_URL", "file:///nonexistent")
    assert setup.find_uv("/nonexistent") == program, "a second run uses what the first one brought"


def test_the_wheel_may_lie_in_find_links(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path / "wheels", "1.0.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    assert setup.works(setup.uv_by_wheel("python3"))


def test_a_damaged_wheel_is_refused(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path / "files", "1.0.0")
    monkeypatch.setenv("PIP_INDEX_URL", make_index(tmp_path / "simple", wheel, damaged=True))
    with pytest.raises(setup.SetupError, match="checksum"):
        setup.uv_by_wheel("python3")
    assert not (setup.TOOLS / "wheel" / "uv").exists()


def test_an_unreachable_index_is_said_without_its_password(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:secret@127.0.0.1:9/simple")
    with pytest.raises(setup.SetupError) as caught:
        setup.uv_by_wheel("python3")
    assert "127.0.0.1:9" in str(caught.value) and "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("tag", "is_fitting"),
    [("win_amd64", False), ("manylinux_2_99_" + platform.machine(), False), ("any", False)],
)
def test_wheels_of_other_machines_do_not_fit(setup: ModuleType, tag: str, is_fitting: bool) -> None:
    assert setup.fits(f"uv-1.0.0-py3-none-{tag}.whl") is is_fitting


def test_this_machines_wheel_fits(setup: ModuleType) -> None:
    assert setup.fits(f"uv-1.0.0-py3-none-{platform_tag()}.whl")


# -- Python and the environment -----------------------------------------------------------------------------


def test_an_old_python_is_named(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "version_of", lambda _: (3, 9))
    with pytest.raises(setup.SetupError, match=r"No Python 3\.11.*found: 3\.9"):
        setup.find_python()


def test_a_broken_stub_on_path_is_passed_over(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = tmp_path / "python3"
    stub.write_text("#!/bin/sh\necho 'version not installed' >&2\nexit 127\n")
    stub.chmod(0o755)
    assert setup.version_of(str(stub)) is None
    assert setup.version_of(sys.executable) == sys.version_info[:2]


def fake_environment(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """uv replaced by a recorder that makes what uv would make."""
    calls: list[tuple[str, ...]] = []

    def run_uv(uv: str, *arguments: str) -> None:
        calls.append(arguments)
        if arguments[0] == "venv":
            (setup.VENV / "bin").mkdir(parents=True)
            (setup.VENV / "bin" / "python").symlink_to(sys.executable)
        if "--editable" in arguments:
            (setup.VENV / "bin" / "aegis").touch()

    monkeypatch.setattr(setup, "run_uv", run_uv)
    monkeypatch.setattr(setup, "find_uv", lambda _: "uv")
    return calls


def test_a_second_setup_does_nothing_and_a_new_lock_installs(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_environment(setup, monkeypatch)
    assert setup.main([]) == 0
    assert [call[0] for call in calls] == ["venv", "pip", "pip"]
    assert "--require-hashes" in calls[1]
    calls.clear()
    assert setup.main([]) == 0
    assert calls == []
    setup.LOCK.write_text(setup.LOCK.read_text() + "\n# changed\n")
    assert setup.main([]) == 0
    assert [call[:2] for call in calls] == [("pip", "sync"), ("pip", "install")]


def test_an_interrupted_setup_goes_on(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_environment(setup, monkeypatch)
    setup.main([])
    setup.STAMP.write_text(f"unfinished\n{setup.ROOT}\n")
    calls.clear()
    assert setup.main([]) == 0
    assert [call[0] for call in calls] == ["pip", "pip"]


def test_a_moved_checkout_gets_a_new_environment(setup: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_environment(setup, monkeypatch)
    setup.main([])
    setup.STAMP.write_text(setup.stamp().replace(str(setup.ROOT), "/elsewhere"))
    calls.clear()
    assert setup.main([]) == 0
    assert calls[0][0] == "venv"


def test_a_full_disk_is_a_sentence(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: str) -> None:
        raise OSError(28, "No space left on device", str(setup.VENV))

    monkeypatch.setattr(setup, "find_uv", lambda _: "uv")
    monkeypatch.setattr(setup, "run_uv", full)
    assert setup.main([]) == 1
    said = capsys.readouterr().err
    assert "No space left on device" in said and "Traceback" not in said


# -- the lock and the makefile ------------------------------------------------------------------------------


def test_the_lock_pins_everything_by_hash_and_names_no_index() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://|file:|--index|--find-links|--extra", text)
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    for block in blocks:
        assert re.match(r"[a-z0-9][a-z0-9._-]*==", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]


def test_the_lock_holds_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    locked = set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    missing = {re.split(r"[\[<>=~ ]", one)[0].lower() for one in wanted} - locked
    assert not missing, f"run `make lock`: {missing}"


def test_bare_make_prints_every_target() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets == set(re.findall(r"^  make ([a-z-]+)", done.stdout, re.MULTILINE))


def test_ci_runs_make_test() -> None:
    path = ROOT / ".ci" / "run"
    assert "exec make test" in path.read_text()
    assert path.stat().st_mode & 0o111


@pytest.mark.long
def test_a_fresh_clone_sets_itself_up(tmp_path: Path) -> None:
    """The whole way, with the index of this machine, a bare PATH and no uv on it."""
    clone = tmp_path / "clone"
    shutil.copytree(
        ROOT,
        clone,
        ignore=shutil.ignore_patterns(
            ".venv", ".uv", ".git", ".aegis", "target", "logs", "__pycache__", ".*_cache"
        ),
    )
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "AEGIS"))
    }
    python = str(Path(sys.base_prefix, "bin", "python3"))
    environment["PATH"] = "/usr/bin:/bin"
    command = ["make", "--no-print-directory", f"PYTHON={python}", "setup"]
    for _ in range(2):
        done = subprocess.run(
            command, cwd=clone, env=environment, check=False, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr
    assert done.stderr == "", "the second time there is nothing to do"
    said = subprocess.run(
        [clone / ".venv/bin/aegis", "--version"], check=True, capture_output=True, text=True
    ).stdout
    assert said.startswith("aegis ")
