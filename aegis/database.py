"""How Aegis reaches its database: the embedded server or the one AEGIS_DATABASE_URL names.

Roles a connection can be asked for: `admin`, and the services `owner`, `loader`, `transformer`, `app`.
Embedded  each service has a login (`aegis_loader_login`) whose password lies in `.aegis/credentials.json` and
          whose sessions begin as the group role (`alter role … set role`).
External  the URL's own user, with the startup option `-c role=aegis_loader`; bootstrap makes it a member.
Either way `current_user` is the group role right after connecting.

Raises    AegisError in one sentence for everything that can be wrong with a URL, a server or a password.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from aegis.server import ADMIN, DATABASE, HOST, Say, Server, locked
from aegis.settings import GROUP_ROLES, SERVICES, TENANT_ROLES, Settings
from dlt_pipelines.common.connections import Connections
from dlt_pipelines.common.errors import AegisError

if TYPE_CHECKING:
    import psycopg

OLDEST, NEWEST = 16, 18
CONNECT_SECONDS = 10


@dataclass(frozen=True, repr=False)
class TenantLogin:
    """A login of one tenant. `created` tells whether this call made it; `password` is None when not ours."""

    name: str
    kind: str
    tenant_id: str
    password: str | None
    created: bool


class Database:
    """One database of one deployment. Cheap to make; connects only when asked."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.server: Server | None = Server(settings) if settings.embedded else None

    def __repr__(self) -> str:
        return f"Database({self.describe()})"

    @property
    def embedded(self) -> bool:
        return self.server is not None

    def describe(self) -> str:
        """Where it is, without any password."""
        if self.server is not None:
            return f"embedded PostgreSQL {self.server.version} at {HOST}:{self.server.kept_port()}/{DATABASE}"
        parts = urlsplit(self.settings.database_url or "")
        return (
            f"{parts.hostname}:{parts.port or 5432}/{parts.path.lstrip('/') or unquote(parts.username or '')}"
        )

    def role(self, kind: str) -> str:
        return self.settings.role(kind)

    def login(self, kind: str) -> str:
        """Name of a service's login on the embedded server."""
        return f"{self.settings.role(kind)}_login"

    # -- URLs ---------------------------------------------------------------------------------------------

    def url(self, role: str = "admin") -> str:
        """postgresql:// URL, password included, after which current_user is that role. For programs, not for eyes."""
        if role not in ("admin", *SERVICES):
            raise AegisError(f"There is no service role {role!r}.", f"Roles: admin, {', '.join(SERVICES)}.")
        if self.server is None:
            url = self.settings.database_url or ""
            return url if role == "admin" else with_options(url, f"-c role={self.settings.role(role)}")
        if role == "admin":
            return self.server.admin_url()
        login = self.login(role)
        password = self.server.passwords().get(login)
        if password is None:
            raise AegisError(f"The database has no login {login} yet.", "Run `aegis deploy`.")
        return with_user(self.server.admin_url(), login, password)

    def connections(self) -> Connections:
        """What pipelines and flows get."""
        return Connections(
            loader=self.url("loader"), transformer=self.url("transformer"), owner=self.url("owner")
        )

    def connect(self, role: str = "admin", **options: Any) -> psycopg.Connection[Any]:
        """A psycopg connection, autocommit False unless asked otherwise."""
        import psycopg

        url = self.url(role)
        options.setdefault("connect_timeout", CONNECT_SECONDS)
        options.setdefault("application_name", "aegis")
        try:
            return psycopg.connect(url, **options)
        except psycopg.OperationalError as problem:
            raise explain_connection_error(problem, url) from problem
        except psycopg.ProgrammingError as problem:
            raise AegisError(
                "AEGIS_DATABASE_URL is not understood by the database driver: a part of it is not a known setting.",
                "It should look like postgresql://user:password@host:5432/database.",
            ) from problem

    def check(self) -> None:
        """Refuse a server that is too old or a database that is not UTF-8. For external servers."""
        with self.connect("admin") as connection:
            check_server(connection, self.describe())


def open_database(
    settings: Settings | None = None, start: bool = True, say: Say = lambda _: None
) -> Database:
    """The deployment's database, ready to connect.

    Embedded: the server is started when it does not run (unless `start` is False).
    External: the server is asked once for version and encoding; nothing is ever started.
    """
    database = Database(settings or Settings.from_environment())
    if database.server is not None:
        if start:
            database.server.start(say)
    else:
        database.check()
    return database


def check_server(connection: psycopg.Connection[Any], where: str) -> None:
    version = connection.info.server_version
    if version < OLDEST * 10000:
        raise AegisError(
            f"The server at {where} is PostgreSQL {version // 10000}; Aegis needs {OLDEST} to {NEWEST}.",
            "Upgrade it, or unset AEGIS_DATABASE_URL to use the embedded server.",
        )
    row = connection.execute("show server_encoding").fetchone()
    encoding = row[0] if row else ""
    if encoding != "UTF8":
        raise AegisError(
            f"The database {where} has the encoding {encoding}; Aegis needs UTF8.",
            "Make one with: create database aegis encoding 'UTF8' template template0;",
        )


# -- URL arithmetic -----------------------------------------------------------------------------------------


def with_user(url: str, user: str, password: str | None) -> str:
    """The same URL for another login."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    secret = f":{quote(password, safe='')}" if password is not None else ""
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}{secret}@{host}"))


def without_password(url: str) -> str:
    """The same URL without its password, in the user part or in the query."""
    parts = urlsplit(url)
    query = urlencode(
        [(key, value) for key, value in parse_qsl(parts.query) if key not in {"password", "sslpassword"}],
        quote_via=quote,
    )
    return with_user(urlunsplit(parts._replace(query=query)), unquote(parts.username or ""), None)


def with_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(database, safe='')}"))


def with_options(url: str, option: str) -> str:
    """Add a startup option, keeping those the URL has."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query)
    options = " ".join([value for key, value in pairs if key == "options"] + [option])
    rest = [(key, value) for key, value in pairs if key != "options"]
    return urlunsplit(parts._replace(query=urlencode([*rest, ("options", options)], quote_via=quote)))


def explain_connection_error(problem: Exception, url: str) -> AegisError:
    """One sentence for a connection that failed. The driver's text is searched, never repeated whole."""
    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port or 5432}"
    database = parts.path.lstrip("/")
    user = unquote(parts.username or "")
    text = str(problem).lower()
    if "password authentication failed" in text or "no password supplied" in text:
        return AegisError(
            f"The server at {where} refused the password of {user}.",
            "Correct the user or password in AEGIS_DATABASE_URL."
            if user != ADMIN
            else "The one in credentials.json is not this server's: `aegis down`, remove that file, `aegis up`.",
        )
    if "no pg_hba.conf entry" in text:
        return AegisError(
            f"The server at {where} does not let {user} in from here (pg_hba.conf).", "Ask its administrator."
        )
    if (
        "permission denied to set role" in text
        or 'invalid value for parameter "role"' in text
        or ("role" in text and "does not exist" in text and "options" in url)
    ):
        return AegisError(
            f"{user} may not act as a role of Aegis at {where}, or the role does not exist.",
            "Run `aegis deploy`.",
        )
    if "role" in text and "does not exist" in text:
        return AegisError(f"The server at {where} knows no user {user}.", "Correct AEGIS_DATABASE_URL.")
    if "does not exist" in text and "database" in text:
        return AegisError(
            f"The server at {where} has no database {database}.",
            f"Make it with: create database {database} encoding 'UTF8' template template0;",
        )
    if "refused" in text:
        return AegisError(
            f"No server answers at {where}: the connection was refused.",
            "Start it, or correct the host and port in AEGIS_DATABASE_URL.",
        )
    if re.search(r"could not translate host|failed to resolve|name or service not known|nodename", text):
        return AegisError(f"The host {parts.hostname} is unknown.", "Correct the host in AEGIS_DATABASE_URL.")
    if "timeout" in text or "timed out" in text:
        return AegisError(
            f"The server at {where} has not answered within {CONNECT_SECONDS} s.",
            "Check the host, the port and the firewall between.",
        )
    if "too many clients" in text or "remaining connection slots" in text:
        return AegisError(
            f"The server at {where} has no connection left.", "Close some, or raise max_connections."
        )
    if "starting up" in text or "shutting down" in text or "recovery mode" in text:
        return AegisError(f"The server at {where} is starting or stopping.", "Try again in a moment.")
    last = [line.strip() for line in str(problem).splitlines() if line.strip()]
    reason = last[-1] if last else type(problem).__name__
    if parts.password and unquote(parts.password) in reason:
        reason = type(problem).__name__
    return AegisError(f"The database at {where} cannot be reached: {reason}", "Run `aegis doctor`.")


# -- logins -------------------------------------------------------------------------------------------------


def ensure_service_logins(database: Database, admin: psycopg.Connection[Any]) -> list[str]:
    """Make or mend the services' logins of the embedded server; for an external server do nothing.

    Called by deploy after bootstrap, on an administrator's connection; the caller commits. Idempotent: a login
    is touched only when it is missing, its password is not kept, or a parameter differs. Returns what changed.
    The password is kept before it is set, so a crash between leaves a login that the next call mends.
    """
    from psycopg import sql

    if database.server is None:
        return []
    changed = []
    with locked(database.settings):
        for kind in SERVICES:
            login, group = database.login(kind), database.role(kind)
            found = admin.execute(
                """
                select
                    r.rolcanlogin,
                    coalesce((
                        select s.setconfig from pg_db_role_setting as s
                        where s.setrole = r.oid and s.setdatabase = 0
                    ), '{}') as config,
                    pg_has_role(r.oid, g.oid, 'set') and not r.rolsuper as is_member
                from pg_roles as r
                cross join pg_roles as g
                where r.rolname = %s and g.rolname = %s
                """,
                (login, group),
            ).fetchone()
            password = database.server.passwords().get(login)
            is_whole = found and found[0] and found[2] and f"role={group}" in found[1]
            if is_whole and password and _password_works(database, login):
                continue
            if password is None:
                password = secrets.token_urlsafe(24)
                database.server.keep_password(login, password)
            if found is None:
                admin.execute(sql.SQL("create role {} login").format(sql.Identifier(login)))
            admin.execute(
                sql.SQL("alter role {} login nosuperuser nocreaterole nocreatedb password {}").format(
                    sql.Identifier(login), sql.Literal(_scram(admin, login, password))
                )
            )
            admin.execute(
                sql.SQL("grant {} to {} with inherit true, set true").format(
                    sql.Identifier(group), sql.Identifier(login)
                )
            )
            admin.execute(
                sql.SQL("alter role {} set role = {}").format(sql.Identifier(login), sql.Literal(group))
            )
            changed.append(login)
    return changed


def _password_works(database: Database, login: str) -> bool:
    import psycopg

    assert database.server is not None
    url = with_user(database.server.admin_url("postgres"), login, database.server.passwords()[login])
    try:
        psycopg.connect(url, connect_timeout=CONNECT_SECONDS).close()
    except psycopg.OperationalError:
        return False
    return True


def _scram(connection: psycopg.Connection[Any], login: str, password: str) -> str:
    """The password as the server stores it, so that no log ever sees it in clear."""
    return connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256").decode()


def ensure_tenant_login(database: Database, tenant_id: str, kind: str = "reader") -> TenantLogin:
    """Make, on first use, the login of one tenant in one role, and bind it. One transaction, idempotent.

    An analyst also gets a schema of its own, named like the login and owned by it.
    On an external server the login has no password until its administrator sets one.
    """
    import psycopg
    from psycopg import sql

    if kind not in TENANT_ROLES:
        raise AegisError(f"There is no role {kind!r} for a tenant.", f"Roles: {', '.join(TENANT_ROLES)}.")
    group = database.role(kind)
    settings = database.settings
    with locked(settings), database.connect("admin") as admin:
        # One maker at a time in the whole database: two machines may ask at once.
        admin.execute("select pg_advisory_xact_lock(hashtextextended('aegis tenant logins', 0))")
        name = _tenant_login_name(admin, settings.role_prefix, tenant_id, kind)
        identifier = sql.Identifier(name)
        known = admin.execute("select oid from pg_roles where rolname = %s", (name,)).fetchone()
        password = database.server.passwords().get(name) if database.server else None
        try:
            if known is None:
                admin.execute(sql.SQL("create role {} login").format(identifier))
            if database.server is not None and (known is None or password is None):
                password = secrets.token_urlsafe(24)
                database.server.keep_password(name, password)
                admin.execute(
                    sql.SQL("alter role {} password {}").format(
                        identifier, sql.Literal(_scram(admin, name, password))
                    )
                )
            _ensure_member(admin, group, name)
            # A row level policy over an array misestimates: small queries would flip to parallel plans (5-11x).
            _ensure_parameters(admin, name, {"max_parallel_workers_per_gather": "0", "jit": "off"})
            if kind == "analyst":
                _ensure_own_schema(admin, name)
            admin.execute(
                """
                insert into tenancy.role_tenants (role_oid, role_name, tenant_id, kind)
                select oid, rolname, %s::uuid, %s from pg_roles where rolname = %s
                on conflict (role_oid, tenant_id) do nothing
                """,
                (tenant_id, kind, name),
            )
        except psycopg.errors.UndefinedObject as problem:
            raise AegisError(f"The role {group} does not exist.", "Run `aegis deploy`.") from problem
        except psycopg.errors.InsufficientPrivilege as problem:
            raise AegisError(
                f"This user may not make the login {name}: {problem.diag.message_primary}.",
                "Use an administrator with CREATEROLE in AEGIS_DATABASE_URL.",
            ) from problem
    return TenantLogin(name, kind, tenant_id, password, known is None)


def _tenant_login_name(admin: psycopg.Connection[Any], prefix: str, tenant_id: str, kind: str) -> str:
    """aegis_t_<first 8 digits of the tenant's id>_<role>; all 32 where another tenant has that one."""
    digits = tenant_id.replace("-", "").lower()
    short = f"{prefix}t_{digits[:8]}_{kind}"
    row = admin.execute(
        """
        select count(*) from tenancy.role_tenants as b
        inner join pg_roles as r on r.oid = b.role_oid
        where r.rolname = %s and b.tenant_id <> %s::uuid
        """,
        (short, tenant_id),
    ).fetchone()
    return f"{prefix}t_{digits}_{kind}" if row and row[0] else short


def _ensure_own_schema(admin: psycopg.Connection[Any], login: str) -> None:
    from psycopg import sql

    owner = admin.execute(
        "select pg_get_userbyid(nspowner) from pg_namespace where nspname = %s", (login,)
    ).fetchone()
    if owner is None:
        # An administrator who is no superuser may give a schema only to a role it can become.
        superuser = admin.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
        if not (superuser and superuser[0]):
            admin.execute(
                sql.SQL("grant {} to current_user with inherit false, set true").format(sql.Identifier(login))
            )
        admin.execute(sql.SQL("create schema {0} authorization {0}").format(sql.Identifier(login)))
    _ensure_parameters(admin, login, {"search_path": f"{login}, ads"})


def _ensure_member(admin: psycopg.Connection[Any], group: str, login: str) -> None:
    """Inherits the group's rights and cannot become it. Writes to the catalog only when needed."""
    from psycopg import sql

    row = admin.execute(
        """
        select count(*) from pg_auth_members as a
        inner join pg_roles as g on g.oid = a.roleid
        inner join pg_roles as m on m.oid = a.member
        where g.rolname = %s and m.rolname = %s and a.inherit_option and not a.set_option
        """,
        (group, login),
    ).fetchone()
    if not (row and row[0]):
        admin.execute(
            sql.SQL("grant {} to {} with inherit true, set false").format(
                sql.Identifier(group), sql.Identifier(login)
            )
        )


def _ensure_parameters(admin: psycopg.Connection[Any], login: str, wanted: dict[str, str]) -> None:
    """`alter role … set`, only what differs: two databases of one server may do this at the same moment."""
    from psycopg import sql

    row = admin.execute(
        """
        select s.setconfig from pg_db_role_setting as s
        inner join pg_roles as r on r.oid = s.setrole
        where r.rolname = %s and s.setdatabase = 0
        """,
        (login,),
    ).fetchone()
    known = dict(item.split("=", 1) for item in (row[0] if row else []))
    for name, value in wanted.items():
        if known.get(name) != value:
            parts = sql.SQL(", ").join(sql.Literal(part.strip()) for part in value.split(","))
            admin.execute(
                sql.SQL("alter role {} set {} = {}").format(
                    sql.Identifier(login), sql.Identifier(name), parts
                )
            )


def dsn(
    database: Database, role: str | None = None, tenant_id: str | None = None
) -> tuple[str, TenantLogin | None]:
    """The URL for psql. Without tenant: administrator or a service; with one: that tenant's login, made if needed.

    For an external server the password is left out.
    """
    if tenant_id is None:
        url = database.url(role or "admin")
        return (url if database.embedded else without_password(url)), None
    login = ensure_tenant_login(database, tenant_id, role or "reader")
    url = with_user(database.url("admin"), login.name, login.password)
    return (url if database.embedded else without_password(url)), login


__all__ = [
    "GROUP_ROLES",
    "Database",
    "TenantLogin",
    "check_server",
    "dsn",
    "ensure_service_logins",
    "ensure_tenant_login",
    "explain_connection_error",
    "open_database",
    "with_database",
    "with_options",
    "with_user",
    "without_password",
]
