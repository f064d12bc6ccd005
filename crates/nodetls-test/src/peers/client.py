"""A TLS client of Python's ssl module: sends, compares what comes back, says goodbye, and prints what was negotiated."""

import os
import socket
import ssl
import sys

options = dict(argument.split("=", 1) for argument in sys.argv[1:])

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, options["version"])
context.load_verify_locations(options["ca"])
if "cert" in options:
    context.load_cert_chain(options["cert"], options["key"])
if "alpn" in options:
    context.set_alpn_protocols([options["alpn"]])


def comes_back(tls, sent):
    for start in range(0, len(sent), 16384):
        piece = sent[start : start + 16384]
        tls.sendall(piece)
        received = b""
        while len(received) < len(piece):
            more = tls.recv(len(piece) - len(received))
            if not more:
                return False
            received += more
        if received != piece:
            return False
    return True


session = None
try:
    for _ in range(int(options["connections"])):
        tcp = socket.create_connection(("127.0.0.1", int(options["port"])), timeout=20)
        name = options.get("name", "127.0.0.1")
        # Without the usual kindness towards connections that end without a goodbye.
        with context.wrap_socket(tcp, server_hostname=name, session=session, suppress_ragged_eofs=False) as tls:
            size = int(options["bytes"])
            sent = os.urandom(size) if size else b"hello from python\n"
            print("echoed=" + str(comes_back(tls, sent)).lower())
            print("version=" + tls.version())
            print("alpn=" + (tls.selected_alpn_protocol() or ""))
            print("resumed=" + str(tls.session_reused).lower())
            session = tls.session
            tls.unwrap()
            print("end=close_notify")
except ssl.SSLError as error:
    print("error=" + str(error.reason))
    sys.exit(1)
