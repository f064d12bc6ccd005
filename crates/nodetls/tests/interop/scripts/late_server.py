"""A TLS 1.3 server for one client, whose certificate it asks for when the first line has come."""

import socket
import ssl
import sys

options = dict(argument.split("=", 1) for argument in sys.argv[1:])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(options["cert"], options["key"])
context.load_verify_locations(options["ca"])
context.verify_mode = ssl.CERT_REQUIRED
context.post_handshake_auth = True


def name(connection):
    subject = (connection.getpeercert() or {}).get("subject", ())
    return dict(pair for pairs in subject for pair in pairs).get("commonName", "nobody")


with socket.create_server(("127.0.0.1", 0)) as listener:
    print(f"port={listener.getsockname()[1]}", flush=True)
    plain, _ = listener.accept()
    plain.settimeout(20)
    with context.wrap_socket(plain, server_side=True) as connection:
        connection.recv(100)
        before = name(connection)
        connection.verify_client_post_handshake()
        connection.sendall(b"asked\n")
        connection.recv(100)
        print(f"before={before} after={name(connection)}", flush=True)
        connection.sendall(b"known\n")
        connection.unwrap()
