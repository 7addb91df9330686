"""Absurd for Python, on PostgreSQL.

Tuned: its workers look every 10 ms instead of every 250 ms. A client has one connection and so one worker: 16 of them
with 4 tasks each, and 4 clients that start tasks.
Its own way to await a task polls; here the task says that it is there, before it is stored as completed, which
flatters it a little.
"""

import asyncio

import absurdctl
import psycopg
from absurd_sdk import AsyncAbsurd

import driver

WORKERS = 16
TASKS_EACH = 4
LOOK_EVERY_S = 0.01
STARTERS = 4
QUEUE = "checkout"


class Peer:
    NAME = "Absurd (Python)"
    PACKAGE = "absurd-sdk"

    async def open(self, database):
        make_schema(database)
        self.waiting = {}
        self.starters = [self.client(database) for _ in range(STARTERS)]
        await self.starters[0].create_queue(QUEUE)
        self.workers = [self.client(database) for _ in range(WORKERS)]
        self.working = [
            asyncio.create_task(
                worker.start_worker(worker_id=f"bench-{n}", concurrency=TASKS_EACH, poll_interval=LOOK_EVERY_S)
            )
            for n, worker in enumerate(self.workers)
        ]

    def client(self, database):
        client = AsyncAbsurd(database, queue_name=QUEUE)

        @client.register_task("checkout")
        async def checkout(order, ctx):
            last = None
            for name in driver.STEPS:

                async def outside(name=name):
                    return driver.step(name, order["id"])

                last = await ctx.step(name, outside)
            self.waiting.pop(order["id"]).set_result(None)
            return driver.receipt(last)

        return client

    async def run(self, order):
        reached = self.waiting[order["id"]] = asyncio.get_running_loop().create_future()
        starter = self.starters[order["id"] % STARTERS]
        await starter.spawn("checkout", order, idempotency_key=str(order["id"]))
        await asyncio.wait_for(reached, driver.LONGEST)

    async def close(self):
        # One that is told to stop before it has begun begins all the same.
        for task in self.working:
            task.cancel()
        await asyncio.gather(*self.working, return_exceptions=True)
        for client in self.workers + self.starters:
            await client.close()


def make_schema(database):
    """As `absurdctl init` does, unless it is there."""
    with psycopg.connect(database, autocommit=True) as connection:
        if not connection.execute("SELECT to_regnamespace('absurd')").fetchone()[0]:
            connection.execute(absurdctl.BUNDLED_SCHEMA_SQL)


if __name__ == "__main__":
    driver.main(Peer)
