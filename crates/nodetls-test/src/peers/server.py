"""A TLS server of Python's ssl module: echoes until the client's goodbye and prints what was negotiated."""

import socket
import ssl
import sys

options = dict(argument.split("=", 1) for argument in sys.argv[1:])

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, options["version"])
context.load_cert_chain(options["cert"], options["key"])
if "ca" in options:
    context.load_verify_locations(options["ca"])
    context.verify_mode = ssl.CERT_REQUIRED
if "alpn" in options:
    context.set_alpn_protocols([options["alpn"]])
names = []
context.sni_callback = lambda tls, name, context: names.append(name or "")

listener = socket.create_server(("127.0.0.1", 0))
listener.settimeout(60)
print("port=" + str(listener.getsockname()[1]), flush=True)

try:
    for _ in range(int(options["connections"])):
        tcp, _ = listener.accept()
        tcp.settimeout(20)
        with context.wrap_socket(tcp, server_side=True, suppress_ragged_eofs=False) as tls:
            print("version=" + tls.version())
            print("alpn=" + (tls.selected_alpn_protocol() or ""))
            print("resumed=" + str(tls.session_reused).lower())
            print("name=" + names[-1])
            subject = dict(pair for pairs in (tls.getpeercert() or {}).get("subject", ()) for pair in pairs)
            print("peer=" + subject.get("commonName", ""))
            while data := tls.recv(65536):
                tls.sendall(data)
            print("end=close_notify")
            # Answers the client's goodbye, which has come already.
            tls.unwrap()
except ssl.SSLError as error:
    print("error=" + str(error.reason))
    sys.exit(1)
