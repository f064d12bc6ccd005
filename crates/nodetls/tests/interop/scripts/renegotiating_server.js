'use strict';
// A TLS 1.2 server of Node.js for one client, which tells it by lines what to do: renegotiate, ask for a certificate,
// or show another certificate. It answers each line by what came of it.

const { constants } = require('node:crypto');
const fs = require('node:fs');
const tls = require('node:tls');

const options = Object.fromEntries(process.argv.slice(1).map((argument) => argument.split('=', 2)));
const read = (path) => path && fs.readFileSync(path);
const identity = (name) => ({ cert: read(options[`${name}cert`]), key: read(options[`${name}key`]) });

const server = tls.createServer({
  ...identity(''),
  ca: read(options.ca),
  maxVersion: 'TLSv1.2',
  secureOptions: constants.SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION,
});

server.on('secureConnection', (socket) => {
  server.close();
  const renegotiate = (how) => socket.renegotiate(how, (error) => {
    if (error) return socket.write(`${error.code}\n`);
    socket.write(`done ${socket.getPeerCertificate().subject?.CN ?? 'nobody'}\n`);
  });
  const commands = {
    renegotiate: () => renegotiate({}),
    certificate: () => renegotiate({ requestCert: true, rejectUnauthorized: true }),
    change: () => {
      socket.setKeyCert(tls.createSecureContext(identity('other')));
      renegotiate({});
    },
  };
  socket.on('data', (data) => {
    const line = data.toString().trim();
    if (line in commands) commands[line]();
    else socket.write(data);
  });
  socket.on('error', (error) => console.log(`error=${error.code}`));
  socket.on('end', () => socket.end());
});

server.listen(0, '127.0.0.1', () => console.log(`port=${server.address().port}`));
