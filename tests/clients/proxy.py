"""A proxy before a server, which breaks connections when it is told to."""

import re
import socket
import struct
import threading


class Proxy:
    """What is done to the next request, once it has come whole:

    refused     nothing of it is forwarded
    unanswered  it is forwarded, and both ends are cut at once
    lost        its answer has come, and nothing of that is forwarded
    broken      half of the answer's body is forwarded
    """

    def __init__(self, test, server, *faults):
        self.server = server
        self.faults = list(faults)
        self.requests = []
        self.open = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        test.addCleanup(self.end)
        threading.Thread(target=self.accept, daemon=True).start()

    def sent(self, header):
        """A header of every request so far."""
        line = re.compile(rb"^" + header.encode() + rb": (.*)\r$", re.IGNORECASE | re.MULTILINE)
        found = [line.search(request) for request in self.requests]
        return [match and match[1].decode() for match in found]

    def cut(self):
        """Cuts all connections that are open."""
        with self.lock:
            for client in self.open:
                reset(client)

    def end(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.open.add(client)
            threading.Thread(target=self.serve, args=[client], daemon=True).start()

    def serve(self, client):
        try:
            with socket.create_connection(("127.0.0.1", self.server.port)) as upstream:
                while self.forward(client, upstream):
                    pass
        except OSError:
            # Whoever was cut off sees it at his end.
            pass
        finally:
            with self.lock:
                self.open.discard(client)
            client.close()

    def forward(self, client, upstream):
        """One request and its answer; false when the connection is over."""
        request = message(client)
        if not request:
            return False
        with self.lock:
            fault = self.faults.pop(0) if self.faults else None
            self.requests.append(request)
        if fault == "refused":
            return reset(client)
        upstream.sendall(request)
        if fault == "unanswered":
            return reset(client)
        answer = message(upstream)
        if fault == "lost":
            return reset(client)
        if fault == "broken":
            client.sendall(answer[: len(answer) - body_length(answer) // 2])
            return False
        client.sendall(answer)
        return bool(answer)


def reset(client):
    """Ends a connection by a reset, at once."""
    try:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It is closed already.
        pass
    return False


def message(stream):
    """A message with its body, or what there was of it when the stream ended."""
    got = b""
    while b"\r\n\r\n" not in got or len(got) < got.index(b"\r\n\r\n") + 4 + body_length(got):
        more = stream.recv(65536)
        if not more:
            return b""
        got += more
    return got


def body_length(got):
    head = got.split(b"\r\n\r\n")[0]
    found = re.search(rb"^content-length: (\d+)", head, re.IGNORECASE | re.MULTILINE)
    return int(found[1]) if found else 0
