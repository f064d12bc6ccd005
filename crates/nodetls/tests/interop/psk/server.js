'use strict';
// A TLS server of Node.js with a pre-shared key: echoes the first connection and ends with it.

const tls = require('node:tls');

const [version, ciphers, identity, key, hint] = process.argv.slice(1);
const server = tls.createServer({
  minVersion: version,
  maxVersion: version,
  ciphers,
  pskIdentityHint: hint,
  pskCallback: (socket, asked) => {
    console.log(`identity=${asked}`);
    return asked === identity ? Buffer.from(key, 'hex') : null;
  },
});
server.on('secureConnection', (socket) => {
  socket.setTimeout(20_000, () => socket.destroy(new Error('timeout')));
  socket.on('error', (error) => console.log(`error=${error.code ?? error.message}`));
  socket.pipe(socket);
  server.close();
});
server.on('tlsClientError', (error) => {
  console.log(`error=${error.code ?? error.message}`);
  server.close();
});
server.listen(0, '127.0.0.1', () => console.log(`port=${server.address().port}`));
