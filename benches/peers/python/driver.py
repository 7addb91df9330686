"""What the Python programs share: the work and the measurement of `src/`, in the same order with the same queries.

Used by `peer_*.py`. A peer is a class with `NAME`, `PACKAGE` and async `open`, `run`, `close`; on SQLite also `pragmas`.
"""

import argparse
import asyncio
import importlib.metadata
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

import psycopg
import psycopg.conninfo

STEPS = ["reserve_stock", "capture_payment", "place_order", "notify_warehouse", "send_receipt"]
SUM = 10_492

# Connections, caches and statements are warm after it.
WARM_UP = 1.0
# What hangs longer is no measurement.
LONGEST = 60.0
# A peer that does not stop is stopped by the end of its process.
CLOSING = 5.0
# A session reports its commits before it is gone; the sum is read until it stands still for so long.
STILL = 0.3
# `synchronous = FULL`: a commit is on the disk before it returns.
FULL = 2


class Refused(Exception):
    """There is no figure, because."""


def request(n):
    """The n-th request of a process: 500 bytes of JSON."""
    return {
        "id": 100_000_000_000 + n,
        "customer": "Ada Example <ada@example.com>",
        "address": "12 Harbour Street, 20457 Hamburg, Germany",
        "lines": [
            {"sku": "TEA-ASSAM-0250", "quantity": 2, "cents": 1999},
            {"sku": "TEA-EARL-GREY-0100", "quantity": 1, "cents": 4999},
            {"sku": "POT-CAST-IRON-1200", "quantity": 5, "cents": 299},
        ],
        "note": "Please ring twice and leave it with the neighbours on the second floor if nobody opens; "
        "the tea is a present, so wrap it in the green paper and put the card with the ribbon on top, "
        "but no invoice, thanks!",
    }


def step(name, order):
    """What a step does outside: nothing. Its result is what a payment provider would answer."""
    return {"step": name, "order": order, "reference": f"ch_{order:024x}", "cents": SUM}


def receipt(last):
    """What the workflow answers after its last step."""
    return {"order": last["order"], "state": "finished", "reference": last["reference"], "cents": last["cents"]}


STATEMENTS = """
    SELECT coalesce(sum(calls), 0)::int8 FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = %s)"""
WAL = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::int8"
DURABILITY = """
    SELECT string_agg(name || '=' || current_setting(name), ', ' ORDER BY place)
    FROM unnest(ARRAY['fsync', 'synchronous_commit', 'full_page_writes']) WITH ORDINALITY AS switches (name, place)"""
END_SESSIONS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = %s AND backend_type = 'client backend'"""
COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = %s"


class Postgres:
    """A database on a server for one measurement, its counters read over a connection to another database."""

    store = "postgres"

    def __init__(self, url):
        self.connection = psycopg.connect(url, autocommit=True)
        self.name = f"peer_{os.getpid()}"
        self.connection.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
        self.connection.execute(f"CREATE DATABASE {self.name}")
        i = self.connection.info
        self.database = f"postgresql://{i.user}:{i.password}@{i.host}:{i.port}/{self.name}"
        try:
            self.connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            self._one(STATEMENTS, self.name)
            self.counts_statements = True
        except psycopg.Error:
            self.counts_statements = False

    def _one(self, sql, *values):
        return self.connection.execute(sql, values or None).fetchone()[0]

    def checkpoint(self):
        self.connection.execute("CHECKPOINT")

    def counters(self):
        return self._one(STATEMENTS, self.name) if self.counts_statements else None, self._one(WAL)

    def settled(self):
        """Commits and bytes, once every session is ended and has reported."""
        self.connection.execute(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false")
        while self._one(END_SESSIONS, self.name):
            time.sleep(0.02)
        commits, later = None, self._one(COMMITS, self.name)
        while later != commits:
            commits = later
            time.sleep(STILL)
            later = self._one(COMMITS, self.name)
        size = self._one("SELECT pg_database_size(%s)", self.name)
        self.connection.execute(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS true")
        return commits, size

    def durability(self, _peer):
        with psycopg.connect(self.database) as connection:
            read = connection.execute(DURABILITY).fetchone()[0]
        if read != "fsync=on, synchronous_commit=on, full_page_writes=on":
            raise Refused(f"refused: the database is not durable: {read}")
        return read

    def remove(self):
        self.connection.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
        self.connection.close()


class Sqlite:
    """A file in a folder of its own."""

    store = "sqlite"

    def __init__(self, folder):
        self.folder = tempfile.TemporaryDirectory(dir=folder)
        self.file = os.path.join(self.folder.name, "peer.db")
        self.database = f"sqlite:{self.file}"

    def checkpoint(self):
        self.settled()

    def counters(self):
        return None, None

    def settled(self):
        import sqlite3

        with sqlite3.connect(self.file, timeout=10) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()
        return None, os.path.getsize(self.file)

    def durability(self, peer):
        connections = peer.pragmas()
        if not connections:
            raise Refused("refused: no connection was read back")
        for mode, synchronous in connections:
            if synchronous < FULL:
                raise Refused(f"refused: the database is not durable: journal_mode={mode}, synchronous={synchronous}")
        mode, synchronous = connections[0]
        return f"journal_mode={mode}, synchronous={synchronous} on {len(connections)} connections"

    def remove(self):
        self.folder.cleanup()


def fresh(url):
    if url.startswith("sqlite:"):
        return Sqlite(url.removeprefix("sqlite:"))
    if url.startswith("postgres"):
        return Postgres(url)
    raise Refused("the database is neither postgres://… nor sqlite:FOLDER")


async def work(peer, site, in_flight, seconds):
    """The closed loop: so many tasks, each of which begins the next run when its last one has ended.

    The warm-up and the window are longer than asked for if by then not as many runs have ended in them as are in flight.
    """
    times, stop, started = [], asyncio.Event(), 0

    async def again_and_again():
        nonlocal started
        while not stop.is_set():
            order = request(started)
            started += 1
            begun = time.perf_counter()
            await peer.run(order)
            ended = time.perf_counter()
            times.append((ended, ended - begun))

    tasks = [asyncio.create_task(again_and_again()) for _ in range(in_flight)]

    async def sleep(time_s):
        done, _ = await asyncio.wait(tasks, timeout=time_s, return_when=asyncio.FIRST_COMPLETED)
        for failed in done:
            failed.result()

    def cpu():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    async def until(ended):
        longest = time.perf_counter() + LONGEST
        while len(times) < ended:
            if time.perf_counter() > longest:
                raise Refused(f"a run did not end within {LONGEST:.0f} s")
            await sleep(0.01)

    await sleep(WARM_UP)
    await until(in_flight)
    before, cpu_before, begin = site.counters(), cpu(), time.perf_counter()
    ended_before = len(times)
    await sleep(seconds)
    await until(ended_before + in_flight)
    end, cpu_after, after = time.perf_counter(), cpu(), site.counters()
    stop.set()
    await asyncio.wait_for(asyncio.gather(*tasks), LONGEST)
    latencies = sorted(took * 1e3 for ended, took in times if begin <= ended < end)
    if not latencies:
        raise Refused("no run ended within the window; measure for longer")
    return latencies, end - begin, len(times), cpu_after - cpu_before, before, after


async def measure(peer_class, args):
    site = fresh(args.database)
    try:
        # The tables are made in a process of its own, so that the commits of the migrations can be told apart.
        prepare = [sys.executable, sys.argv[0], "--database", "unused", "--prepare", site.database]
        prepared = subprocess.run(prepare, capture_output=True, text=True, timeout=LONGEST)
        if prepared.returncode:
            raise Refused(f"the process that makes the tables failed: {prepared.stderr.strip()[-300:]}")
        settled_before = site.settled()
        site.checkpoint()
        peer = peer_class()
        await peer.open(site.database)
        latencies, window, runs, cpu, before, after = await work(peer, site, args.in_flight, args.seconds)
        durability = site.durability(peer)
        try:
            await asyncio.wait_for(peer.close(), CLOSING)
        except asyncio.TimeoutError:
            pass
        settled_after = site.settled()
    finally:
        site.remove()

    def a_run(first, second, count):
        return None if first is None else (second - first) / count

    def quantile(share):
        return latencies[round((len(latencies) - 1) * share)]

    counted = len(latencies)
    return {
        "system": peer_class.NAME,
        "version": importlib.metadata.version(peer_class.PACKAGE),
        "store": site.store,
        "in_flight": args.in_flight,
        "runs_per_s": counted / window,
        "p50_ms": quantile(0.50),
        "p99_ms": quantile(0.99),
        "commits_per_run": a_run(settled_before[0], settled_after[0], runs),
        "statements_per_run": a_run(before[0], after[0], counted),
        "wal_bytes_per_run": a_run(before[1], after[1], counted),
        "table_bytes_per_run": a_run(settled_before[1], settled_after[1], runs),
        "cpu_us_per_run": cpu * 1e6 / counted,
        "durability": durability,
    }


def main(peer_class):
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--in-flight", type=int, default=1, help="so many runs at once")
    parser.add_argument("--seconds", type=float, default=5, help="counts for so long, after one second")
    parser.add_argument("--database", default=os.environ.get("DATABASE_URL"), help="postgres://… or sqlite:FOLDER")
    parser.add_argument("--prepare", help=argparse.SUPPRESS)
    args = parser.parse_args()

    async def prepare():
        peer = peer_class()
        await peer.open(args.prepare)
        await asyncio.wait_for(peer.close(), CLOSING)

    try:
        if not args.database:
            raise Refused("there is no --database and no DATABASE_URL")
        figures = asyncio.run(prepare() if args.prepare else measure(peer_class, args))
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        os._exit(1)
    except Exception as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)
    if figures:
        print(json.dumps(figures))
    sys.stdout.flush()
    # Threads of a peer that does not stop would keep the process.
    os._exit(0)
