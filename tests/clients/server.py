"""A built server as a child of a test: it can be killed, and comes back on the same port with the same files."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ.get("CLIENTS_PROGRAMS", ROOT / "target" / "debug"))

# Long enough for a busy machine: whoever waits so long has failed.
PATIENCE = 30.0


class Server:
    """Runs a program of the workspace, in a directory of its own, until the test ends."""

    def __init__(self, test, program, *args, log=None):
        self.program = program
        self.port = 0
        # Its standard error goes into this file of its directory.
        self.log = log
        self.directory = tempfile.mkdtemp(prefix=f"{program}-")
        test.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.up(*args)
        test.addCleanup(self.kill)

    def up(self, *args):
        command = [PROGRAMS / self.program, *args, "--listen", f"127.0.0.1:{self.port}"]
        errors = open(Path(self.directory) / self.log, "ab") if self.log else None
        self.child = subprocess.Popen(command, cwd=self.directory, stdout=subprocess.PIPE, stderr=errors, text=True)
        if errors:
            errors.close()
        for line in self.child.stdout:
            if found := re.fullmatch(r"listening on (http://\S+:(\d+))\n", line):
                self.address, self.port = found[1], int(found[2])
                return
        raise AssertionError(f"{self.program} ended before it listened: {self.child.wait()}")

    def kill(self):
        """SIGKILL; returns when it is dead."""
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()

    def restart(self, *args):
        self.kill()
        self.up(*args)

    def count(self, what="charges"):
        """What its test route counts."""
        with urllib.request.urlopen(f"{self.address}/_test/count") as answer:
            return json.load(answer)[what]

    def counted(self, number, what="charges"):
        """Returns when it has counted so many."""
        end = time.monotonic() + PATIENCE
        while self.count(what) < number:
            if time.monotonic() > end:
                raise AssertionError(f"{self.program} did not count to {number}")
            time.sleep(0.005)
