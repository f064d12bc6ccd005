'use strict';
// A TLS client of Node.js: sends, compares what comes back, says goodbye, and prints what was negotiated.

const crypto = require('node:crypto');
const fs = require('node:fs');
const tls = require('node:tls');

const options = Object.fromEntries(process.argv.slice(1).map((argument) => argument.split('=', 2)));
const read = (path) => path && fs.readFileSync(path);
const version = options.version.replace('_', '.');

function connect(connections, session) {
  const size = Number(options.bytes);
  const sent = size ? crypto.randomBytes(size) : Buffer.from('hello from node\n');
  const received = [];
  let missing = sent.length;
  let ticket = session;
  const socket = tls.connect({
    host: '127.0.0.1',
    port: Number(options.port),
    servername: options.name ?? '',
    ca: read(options.ca),
    cert: read(options.cert),
    key: read(options.key),
    ALPNProtocols: options.alpn ? [options.alpn] : undefined,
    minVersion: version,
    maxVersion: version,
    session,
  });
  socket.setTimeout(20_000, () => socket.destroy(new Error('timeout')));
  socket.on('session', (latest) => {
    ticket = latest;
  });
  socket.on('secureConnect', () => {
    console.log(`version=${socket.getProtocol()}`);
    console.log(`alpn=${socket.alpnProtocol || ''}`);
    console.log(`resumed=${socket.isSessionReused()}`);
    socket.write(sent);
  });
  socket.on('data', (data) => {
    received.push(data);
    missing -= data.length;
    if (missing === 0) {
      console.log(`echoed=${Buffer.concat(received).equals(sent)}`);
      socket.end();
    }
  });
  socket.on('end', () => console.log('end=end'));
  socket.on('error', (error) => {
    console.log(`error=${error.code ?? error.message}`);
    process.exitCode = 1;
  });
  socket.on('close', (failed) => {
    if (connections > 1 && !failed) connect(connections - 1, ticket);
  });
}

connect(Number(options.connections));
