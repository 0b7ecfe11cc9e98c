"""Part of the recorded mix: a loopback server and a client that keeps connecting to it, for so many seconds."""

import socket
import sys
import time

server = socket.create_server(("127.0.0.1", 0))
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    client = socket.create_connection(server.getsockname())
    accepted, _ = server.accept()
    accepted.close()
    client.close()
    time.sleep(0.005)
