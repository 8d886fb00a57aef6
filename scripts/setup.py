#!/usr/bin/env python3
"""Make .venv out of requirements.lock. Standard library only; runs on any Python 3.8 or newer.

    python3 scripts/setup.py           make or mend the environment; returns at once when nothing changed
    python3 scripts/setup.py --lock    resolve pyproject.toml anew into requirements.lock

uv does the work. It is taken from, in this order: PATH; what an earlier run put into .uv/; `python3 -m venv` and
pip in it; pip with --target; the wheel on the index that the environment or pip's configuration names, unzipped
by the standard library. uv doesn't read pip's configuration, so its indexes are handed on in uv's own variables,
unless uv has settings of its own.
"""

from __future__ import annotations

import configparser
import hashlib
import html.parser
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
TOOLS = ROOT / ".uv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "aegis-stamp"
OLDEST, NEWEST = (3, 11), (3, 13)
MINUTES = 60


class SetupError(Exception):
    """What happened and what to do, for a person."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# -- Python ---------------------------------------------------------------------------------------------------


def version_of(program: str) -> tuple | None:
    """(3, 12) for a working Python, None for a broken one or a version manager's stub."""
    try:
        done = subprocess.run(
            [program, "-c", "import sys; print(*sys.version_info[:2])"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        major, minor = done.stdout.decode().split()
        return (int(major), int(minor)) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def find_python() -> str:
    """A Python 3.11 to 3.13: the one running this, else the first on PATH."""
    names = ["python3", "python3.12", "python3.13", "python3.11", "python"]
    candidates = [sys.executable] + [found for found in map(shutil.which, names) if found]
    seen = []
    for program in candidates:
        version = version_of(program) if program else None
        if version and OLDEST <= version <= NEWEST:
            return program
        if version:
            seen.append(".".join(map(str, version)))
    others = ", ".join(dict.fromkeys(seen)) or "none"
    raise SetupError(
        f"No Python 3.11, 3.12 or 3.13 was found on PATH (found: {others}).\n"
        "Install one, for example `apt install python3` on Debian 12, `brew install python@3.12` on a Mac, "
        "or with pyenv."
    )


# -- what pip's configuration says ----------------------------------------------------------------------------


def pip_settings(environ: dict | None = None) -> dict:
    """index-url, extra-index-url, find-links, cert, trusted-host, no-index, proxy, as pip would see them.

    Later files win, PIP_* variables win over files. PIP_CONFIG_FILE adds one file, os.devnull forbids them all.
    """
    env = os.environ if environ is None else environ
    home = env.get("HOME") or ""
    files = []
    special = env.get("PIP_CONFIG_FILE")
    if special != os.devnull:
        for folder in (env.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":"):
            files.append(Path(folder, "pip", "pip.conf"))
        files.append(Path("/etc/pip.conf"))
        if home:
            files.append(Path(home, ".pip", "pip.conf"))
            files.append(Path(env.get("XDG_CONFIG_HOME") or Path(home, ".config"), "pip", "pip.conf"))
            if sys.platform == "darwin":
                files.append(Path(home, "Library", "Application Support", "pip", "pip.conf"))
        files.append(Path(sys.prefix, "pip.conf"))
        if special:
            files.append(Path(special))
    keys = ("index-url", "extra-index-url", "find-links", "cert", "trusted-host", "no-index", "proxy")
    found = {}
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(str(path), encoding="utf-8")
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            for key in keys:
                for spelling in (key, key.replace("-", "_")):
                    if parser.has_option(section, spelling):
                        found[key] = parser.get(section, spelling).strip()
    for key in keys:
        value = env.get("PIP_" + key.upper().replace("-", "_"))
        if value:
            found[key] = value
    return {key: value for key, value in found.items() if value}


def uv_has_own_index(env: dict) -> bool:
    names = (
        "UV_DEFAULT_INDEX",
        "UV_INDEX_URL",
        "UV_INDEX",
        "UV_EXTRA_INDEX_URL",
        "UV_FIND_LINKS",
        "UV_CONFIG_FILE",
    )
    if any(env.get(name) for name in names):
        return True
    config = Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME") or "/nonexistent", ".config"))
    for path in (config / "uv" / "uv.toml", Path("/etc/uv/uv.toml")):
        try:
            if re.search(r"index|find-links", path.read_text(encoding="utf-8")):
                return True
        except (OSError, UnicodeDecodeError):
            continue
    return False


def uv_environment(environ: dict | None = None) -> dict:
    """The environment uv runs in: pip's indexes in uv's words, no downloads of Pythons, a cache that can be written."""
    env = dict(os.environ if environ is None else environ)
    env.pop("VIRTUAL_ENV", None)
    env.setdefault("UV_PYTHON_DOWNLOADS", "never")
    pip = pip_settings(env)
    if not uv_has_own_index(env):
        if "index-url" in pip:
            env["UV_DEFAULT_INDEX"] = pip["index-url"]
        if "extra-index-url" in pip:
            env["UV_INDEX"] = " ".join(pip["extra-index-url"].split())
            # pip looks at all indexes alike; the lock's hashes make that safe.
            env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
        if "find-links" in pip:
            env["UV_FIND_LINKS"] = ",".join(pip["find-links"].split())
        if pip.get("no-index", "").lower() in ("1", "true", "yes", "on"):
            env["UV_NO_INDEX"] = "1"
    if "cert" in pip:
        env.setdefault("SSL_CERT_FILE", pip["cert"])
    if "trusted-host" in pip:
        env.setdefault("UV_INSECURE_HOST", " ".join(pip["trusted-host"].split()))
    if "proxy" in pip:
        env.setdefault("HTTPS_PROXY", pip["proxy"])
        env.setdefault("HTTP_PROXY", pip["proxy"])
    if not env.get("UV_CACHE_DIR"):
        home = env.get("XDG_CACHE_HOME") or env.get("HOME")
        if not home or not os.access(home, os.W_OK | os.X_OK):
            env["UV_CACHE_DIR"] = str(TOOLS / "cache")
            env.setdefault("HOME", str(TOOLS))
    return env


# -- uv -------------------------------------------------------------------------------------------------------


def works(program: Path | str | None) -> bool:
    if not program or not Path(program).exists():
        return False
    try:
        return (
            subprocess.run(
                [str(program), "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60
            ).returncode
            == 0
        )
    except (OSError, subprocess.SubprocessError):
        return False


def find_uv(python: str) -> str:
    reasons = []
    for place in (shutil.which("uv"), TOOLS / "venv/bin/uv", TOOLS / "target/bin/uv", TOOLS / "wheel/uv"):
        if works(place):
            return str(place)
    say("uv is not installed; getting it for this checkout (into .uv/).")
    for what, way in (
        ("python3 -m venv", uv_by_venv),
        ("pip --target", uv_by_pip_target),
        ("the index itself", uv_by_wheel),
    ):
        try:
            program = way(python)
        except (SetupError, OSError, subprocess.SubprocessError, zipfile.BadZipFile) as problem:
            reasons.append(f"  by {what}: {last_line(str(problem))}")
            continue
        if works(program):
            return str(program)
        reasons.append(f"  by {what}: the program it brought does not run here")
    tried = "\n".join(reasons)
    raise SetupError(
        f"uv could not be installed:\n{tried}\n"
        "Install one of: uv itself (https://docs.astral.sh/uv), python3-venv, or python3-pip; "
        "behind a proxy or mirror, name the index in PIP_INDEX_URL or pip.conf."
    )


def run_quietly(command: list) -> None:
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        timeout=10 * MINUTES,
    )
    if done.returncode != 0:
        raise SetupError(last_line(done.stdout.decode("utf-8", "replace")) or f"exit code {done.returncode}")


def uv_by_venv(python: str) -> Path:
    folder = TOOLS / "venv"
    shutil.rmtree(str(folder), ignore_errors=True)
    try:
        run_quietly([python, "-m", "venv", str(folder)])
        run_quietly([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "uv"])
    except SetupError:
        shutil.rmtree(str(folder), ignore_errors=True)
        raise
    return folder / "bin/uv"


def uv_by_pip_target(python: str) -> Path:
    folder = TOOLS / "target"
    shutil.rmtree(str(folder), ignore_errors=True)
    run_quietly([python, "-m", "pip", "install", "--quiet", "--target", str(folder), "uv"])
    return folder / "bin/uv"


class Links(html.parser.HTMLParser):
    """(href, is yanked) of every anchor on a page of a package index."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        values = dict(attrs)
        if tag == "a" and values.get("href"):
            self.found.append((values["href"], "data-yanked" in values))


def uv_by_wheel(python: str) -> Path:
    """Newest uv wheel for this machine, from the first index that has one."""
    pip = pip_settings()
    context = ssl.create_default_context(cafile=pip.get("cert") or os.environ.get("SSL_CERT_FILE") or None)
    wheels = []
    problems = []
    if pip.get("no-index", "").lower() not in ("1", "true", "yes", "on"):
        indexes = [*pip.get("index-url", "").split(), *pip.get("extra-index-url", "").split()]
        if not indexes:
            problems.append("neither PIP_INDEX_URL nor pip's configuration names an index")
        for index in indexes:
            page = index.rstrip("/") + "/uv/"
            try:
                wheels += wheels_on(page, context)
            except (OSError, ValueError) as problem:
                problems.append(f"{without_secret(index)}: {last_line(str(problem))}")
    for place in pip.get("find-links", "").split():
        folder = Path(
            urllib.request.url2pathname(urllib.parse.urlsplit(place).path)
            if place.startswith("file:")
            else place
        )
        if folder.is_dir():
            wheels += [(path.name, path.resolve().as_uri()) for path in folder.glob("uv-*.whl")]
    fitting = [(wheel_version(name), name, url) for name, url in wheels if fits(name)]
    if not fitting:
        raise SetupError(
            f"no wheel of uv for this machine was found ({'; '.join(problems) or 'the index has none'})"
        )
    _, name, url = max(fitting)
    folder = TOOLS / "wheel"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    address, _, digest = url.partition("#sha256=")
    content = fetch(address, context)
    if digest and hashlib.sha256(content).hexdigest() != digest:
        raise SetupError(f"{name} arrived damaged: its checksum is not the index's")
    target.write_bytes(content)
    with zipfile.ZipFile(str(target)) as archive:
        inside = [one for one in archive.namelist() if re.search(r"\.data/scripts/uv$", one)]
        if not inside:
            raise SetupError(f"{name} holds no program")
        (folder / "uv").write_bytes(archive.read(inside[0]))
    (folder / "uv").chmod(0o755)
    target.unlink()
    return folder / "uv"


def wheels_on(page: str, context: ssl.SSLContext) -> list:
    """[(file name, absolute URL)] of the uv wheels on an index page; file: indexes may hold index.html."""
    if page.startswith("file:"):
        folder = Path(urllib.request.url2pathname(urllib.parse.urlsplit(page).path))
        page = (folder / "index.html").as_uri() if (folder / "index.html").exists() else page
        if not page.endswith("index.html"):
            return [(path.name, path.as_uri()) for path in folder.glob("uv-*.whl")]
    links = Links()
    links.feed(fetch(page, context).decode("utf-8", "replace"))
    found = []
    for href, is_yanked in links.found:
        url = urllib.parse.urljoin(page, href)
        name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
        if not is_yanked and re.match(r"uv-\d+(\.\d+)*-.*\.whl$", name):
            found.append((name, url))
    return found


def fetch(url: str, context: ssl.SSLContext) -> bytes:
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(
        urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])),
        headers={"Accept": "text/html, */*;q=0.1"},
    )
    if parts.username:
        import base64

        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    handlers = [urllib.request.HTTPSHandler(context=context)]
    with urllib.request.build_opener(*handlers).open(request, timeout=120) as answer:
        return answer.read()


def wheel_version(name: str) -> tuple:
    return tuple(int(part) for part in name.split("-")[1].split("."))


def fits(name: str) -> bool:
    """Whether the wheel's platform tag is this machine's."""
    machine = platform.machine().lower()
    tag = name[: -len(".whl")].split("-")[-1]
    if sys.platform == "darwin":
        return tag.startswith("macosx") and tag.endswith("arm64" if machine == "arm64" else "x86_64")
    if not sys.platform.startswith("linux") or not tag.endswith(machine):
        return False
    libc, version = platform.libc_ver()
    if libc != "glibc":
        return "musllinux" in tag
    mine = tuple(int(part) for part in version.split(".")[:2])
    needed = re.findall(r"manylinux_(\d+)_(\d+)_", tag)
    return "manylinux2014" in tag or any((int(major), int(minor)) <= mine for major, minor in needed)


# -- the environment ------------------------------------------------------------------------------------------


def fingerprint() -> str:
    """What the environment is made of, and where: its programs name their folder, so a moved one is made anew."""
    described = (ROOT / "pyproject.toml").read_bytes().partition(b"\n[tool.ruff")[0]  # the rest is for tools
    digest = hashlib.sha256(LOCK.read_bytes() + b"\0" + described).hexdigest()
    return f"{digest}\n{ROOT}\n"


def stamp() -> str:
    try:
        return STAMP.read_text(encoding="utf-8")
    except OSError:
        return ""


def is_current() -> bool:
    return (
        stamp() == fingerprint()
        and (VENV / "bin/aegis").exists()
        and version_of(str(VENV / "bin/python")) is not None
    )


def run_uv(uv: str, *arguments: str) -> None:
    done = subprocess.run(
        [uv, *arguments],
        cwd=str(ROOT),
        env=uv_environment(),
        timeout=30 * MINUTES,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise SetupError(
            f"`uv {' '.join(arguments[:2])}` failed (see above).\n"
            "If an index could not be reached: name yours in PIP_INDEX_URL, UV_DEFAULT_INDEX or pip.conf. "
            "If the disk is full: the environment needs 0.7 GB."
        )


def make_environment() -> None:
    if is_current():
        return
    if not os.access(str(ROOT), os.W_OK | os.X_OK):
        raise SetupError(
            f"The checkout {ROOT} cannot be written by this user.\nClone it into a folder of your own."
        )
    python = find_python()
    uv = find_uv(python)
    current = version_of(str(VENV / "bin/python"))
    is_usable = current is not None and OLDEST <= current <= NEWEST
    was_moved = stamp() != "" and not stamp().endswith(f"\n{ROOT}\n")
    if VENV.exists() and (was_moved or not is_usable):
        say("Making .venv anew: it was made elsewhere, or its Python is gone.")
        shutil.rmtree(str(VENV))
    if not VENV.exists():
        run_uv(uv, "venv", "--quiet", "--python", python, str(VENV))
    STAMP.write_text(f"unfinished\n{ROOT}\n", encoding="utf-8")
    say("Installing the packages of requirements.lock into .venv (0.7 GB; seconds when they are cached).")
    target = ["--python", str(VENV / "bin/python")]
    # Without a terminal there is no progress bar, only a list of 117 names afterwards.
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    # Compiled once here: where PYTHONDONTWRITEBYTECODE is set, every command would compile dbt and dlt again (5 s).
    run_uv(uv, "pip", "sync", *quiet, *target, "--compile-bytecode", "--require-hashes", str(LOCK))
    run_uv(
        uv, "pip", "install", "--quiet", *target, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)
    )
    STAMP.write_text(fingerprint(), encoding="utf-8")
    say("The environment is ready: .venv/bin/aegis")


def make_lock() -> None:
    uv = find_uv(find_python())
    run_uv(
        uv,
        "pip",
        "compile",
        "pyproject.toml",
        "--extra",
        "dev",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
        "--quiet",
        "--output-file",
        LOCK.name,
    )
    say("Resolved into requirements.lock; `make setup` installs it.")


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return without_secret(lines[-1]) if lines else ""


def without_secret(text: str) -> str:
    return re.sub(r"://[^/@\s]+@", "://…@", text)


def main(arguments: list) -> int:
    try:
        if arguments == ["--lock"]:
            make_lock()
        elif not arguments:
            make_environment()
        else:
            say(__doc__ or "")
            return 2
    except SetupError as problem:
        say(f"Error: {problem}")
        return 1
    except subprocess.TimeoutExpired as problem:
        say(
            f"Error: {Path(problem.cmd[0]).name} took longer than {problem.timeout // 60:.0f} minutes.\n"
            "Check the network and try again."
        )
        return 1
    except OSError as problem:
        say(
            f"Error: {problem.filename or ROOT} could not be written or read ({problem.strerror}).\n"
            "Free some space, or use a checkout in a folder you may write to."
        )
        return 1
    except KeyboardInterrupt:
        say("Interrupted; run it again to go on.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
