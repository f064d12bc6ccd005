'use strict';
// A TLS client of Node.js with a pre-shared key: says a line, prints what comes back, and says goodbye.

const tls = require('node:tls');

const [version, ciphers, identity, key, port] = process.argv.slice(1);
const socket = tls.connect({
  host: '127.0.0.1',
  port: Number(port),
  minVersion: version,
  maxVersion: version,
  ciphers,
  checkServerIdentity: () => undefined,
  pskCallback: (hint) => {
    console.log(`hint=${hint}`);
    return { psk: Buffer.from(key, 'hex'), identity };
  },
});
socket.setTimeout(20_000, () => socket.destroy(new Error('timeout')));
socket.on('secureConnect', () => socket.write('hello from node\n'));
socket.on('data', (data) => {
  process.stdout.write(data);
  socket.end();
});
socket.on('end', () => console.log('end=end'));
socket.on('error', (error) => console.log(`error=${error.code ?? error.message}`));
