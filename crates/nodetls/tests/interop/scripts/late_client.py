"""A TLS 1.3 client that shows its certificate when it is asked for it after the handshake."""

import socket
import ssl
import sys

options = dict(argument.split("=", 1) for argument in sys.argv[1:])
context = ssl.create_default_context(cafile=options["ca"])
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.post_handshake_auth = True
if "cert" in options:
    context.load_cert_chain(options["cert"], options["key"])

with socket.create_connection(("127.0.0.1", int(options["port"])), 20) as plain:
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(b"hello\n")
        print(f"received={connection.recv(100).decode().strip()}", flush=True)
