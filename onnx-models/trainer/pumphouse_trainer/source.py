"""Where rows come from: the box's store, opened read-only, or the central office's PostgreSQL. The daemon may run meanwhile."""

import os
import sqlite3
import ssl
from contextlib import contextmanager
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pg8000.native

from .settings import Refused

TABLES = ("readings_wide", "alerts_log")


class Store:
    """The box's SQLite. In SQL, {ts} is the time in UTC seconds, {table} a table of this site, ? a value; {later} and {earlier}
    compare the time with one."""

    names = {"ts": "ts", "later": "ts > ?", "earlier": "ts < ?", **{table: table for table in TABLES}}

    def __init__(self, connection, place):
        self.connection, self.place = connection, place

    def columns(self, table):
        return {row[1] for row in self.connection.execute(f"PRAGMA table_info({table})")}

    def all(self, sql, *values):
        return self.connection.execute(sql.format(**self.names), values).fetchall()

    def one(self, sql, *values):
        return self.all(sql, *values)[0][0]


class Office:
    """The central office's PostgreSQL, one site of it."""

    def __init__(self, connection, place, site):
        self.connection, self.place = connection, place
        site = site.replace("'", "''")
        self.names = {
            "ts": "extract(epoch FROM ts)::float8",
            "later": "ts > to_timestamp(?)",
            "earlier": "ts < to_timestamp(?)",
            **{table: f"(SELECT * FROM pumphouse.{table} WHERE site_id = '{site}') AS {table}" for table in TABLES},
        }

    def columns(self, table):
        found = self.connection.run(
            "SELECT column_name::text FROM information_schema.columns WHERE table_schema = 'pumphouse' AND table_name = :table",
            table=table,
        )
        return {row[0] for row in found}

    def all(self, sql, *values):
        sql = sql.format(**self.names)
        named = {f"v{place}": value for place, value in enumerate(values)}
        for name in named:
            sql = sql.replace("?", f":{name}", 1)
        return self.connection.run(sql, **named)

    def one(self, sql, *values):
        return self.all(sql, *values)[0][0]


@contextmanager
def opened(site, database):
    """The rows of a site."""
    if database is not None:
        with office(site, database) as rows:
            yield rows
        return
    place = f"file:{quote(str(site.store))}?mode=ro"
    try:
        connection = sqlite3.connect(place, uri=True)
        try:
            yield Store(connection, site.store)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Refused(f"{site.store}: {error}") from error


@contextmanager
def office(site, database):
    url = urlsplit(database)
    place = f"{url.hostname}{url.path}"
    if url.scheme not in ("postgres", "postgresql") or not url.hostname:
        raise Refused(f"{database}: no address of a PostgreSQL server, like postgres://reader@host/pumphouse")
    options = parse_qs(url.query)
    mode = options.get("sslmode", ["verify-full"])[0]
    # Beside this machine the server must prove its name, unless the address says otherwise.
    local = url.hostname in ("localhost", "127.0.0.1", "::1") and "sslmode" not in options
    context = None
    if mode != "disable" and not local:
        context = ssl.create_default_context(cafile=options.get("sslrootcert", [None])[0])
        if mode != "verify-full":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_REQUIRED if mode == "verify-ca" else ssl.CERT_NONE
    try:
        connection = pg8000.native.Connection(
            unquote(url.username or "postgres"),
            host=url.hostname,
            port=url.port or 5432,
            database=url.path.lstrip("/") or "pumphouse",
            password=os.environ.get("PGPASSWORD"),
            ssl_context=context,
            timeout=60,
        )
    except (pg8000.native.InterfaceError, pg8000.native.DatabaseError, OSError) as error:
        raise Refused(f"{place}: {error}") from error
    try:
        # One state of the tables, and no word that writes.
        connection.run("START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield Office(connection, place, site.id)
    except (pg8000.native.InterfaceError, pg8000.native.DatabaseError) as error:
        raise Refused(f"{place}: {error}") from error
    finally:
        connection.close()
