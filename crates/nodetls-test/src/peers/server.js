'use strict';
// A TLS server of Node.js: echoes until the client's goodbye and prints what was negotiated.

const fs = require('node:fs');
const tls = require('node:tls');

const options = Object.fromEntries(process.argv.slice(1).map((argument) => argument.split('=', 2)));
const read = (path) => path && fs.readFileSync(path);
const version = options.version.replace('_', '.');
let connections = Number(options.connections);

function finished() {
  connections -= 1;
  if (connections === 0) server.close();
}

const server = tls.createServer({
  ca: read(options.ca),
  cert: read(options.cert),
  key: read(options.key),
  requestCert: 'ca' in options,
  rejectUnauthorized: true,
  ALPNProtocols: options.alpn ? [options.alpn] : undefined,
  minVersion: version,
  maxVersion: version,
  handshakeTimeout: 20_000,
});

server.on('secureConnection', (socket) => {
  socket.setTimeout(20_000, () => socket.destroy(new Error('timeout')));
  console.log(`version=${socket.getProtocol()}`);
  console.log(`alpn=${socket.alpnProtocol || ''}`);
  console.log(`resumed=${socket.isSessionReused()}`);
  console.log(`name=${socket.servername || ''}`);
  console.log(`peer=${socket.getPeerCertificate().subject?.CN ?? ''}`);
  socket.on('end', () => console.log('end=end'));
  socket.on('error', (error) => console.log(`error=${error.code ?? error.message}`));
  socket.on('close', finished);
  // Ends its own side after the client's, which is a close_notify too.
  socket.pipe(socket);
});

server.on('tlsClientError', (error) => {
  console.log(`error=${error.code ?? error.message}`);
  process.exitCode = 1;
  finished();
});

server.listen(0, '127.0.0.1', () => console.log(`port=${server.address().port}`));
