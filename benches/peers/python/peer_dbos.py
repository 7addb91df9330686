"""DBOS for Python, on PostgreSQL and on SQLite.

Tuned: 20 connections instead of its default; on SQLite a write-ahead log instead of a rollback journal, with
`synchronous = FULL` on every connection. Nothing is polled: the process that starts a workflow runs it.
"""

import sqlite3

import sqlalchemy
from dbos import DBOS, SetWorkflowID

import driver

CONNECTIONS = 20
# Every connection of SQLAlchemy to a SQLite file, so that its switches can be read back on it.
sqlite_connections = []


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def keep_every_commit(connection, _record):
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = FULL")
        sqlite_connections.append(connection)


@DBOS.step()
async def reserve_stock(order):
    return driver.step("reserve_stock", order)


@DBOS.step()
async def capture_payment(order):
    return driver.step("capture_payment", order)


@DBOS.step()
async def place_order(order):
    return driver.step("place_order", order)


@DBOS.step()
async def notify_warehouse(order):
    return driver.step("notify_warehouse", order)


@DBOS.step()
async def send_receipt(order):
    return driver.step("send_receipt", order)


@DBOS.workflow()
async def checkout(order):
    await reserve_stock(order["id"])
    await capture_payment(order["id"])
    await place_order(order["id"])
    await notify_warehouse(order["id"])
    return driver.receipt(await send_receipt(order["id"]))


class Peer:
    NAME = "DBOS (Python)"
    PACKAGE = "dbos"

    async def open(self, database):
        # As SQLAlchemy writes a file's URL.
        url = database.replace("sqlite:", "sqlite:///", 1) if database.startswith("sqlite:") else database
        config = {
            "name": "bench-app",
            "application_version": "1",
            "system_database_url": url,
            "sys_db_pool_size": CONNECTIONS,
            "log_level": "ERROR",
            "run_admin_server": False,
        }
        DBOS(config=config)
        DBOS.launch()

    async def run(self, order):
        with SetWorkflowID(str(order["id"])):
            answer = await checkout(order)
        if answer["order"] != order["id"]:
            raise driver.Refused(f"the peer answered {answer}")

    def pragmas(self):
        read = []
        for connection in sqlite_connections:
            try:
                mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
                read.append((mode, connection.execute("PRAGMA synchronous").fetchone()[0]))
            except sqlite3.ProgrammingError:
                # The pool has closed it.
                continue
        return read

    async def close(self):
        DBOS.destroy()


if __name__ == "__main__":
    driver.main(Peer)
