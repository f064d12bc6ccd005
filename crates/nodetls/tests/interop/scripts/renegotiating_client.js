'use strict';
// A TLS 1.2 client of Node.js that does by lines what it is told: renegotiate, or send the line.

const fs = require('node:fs');
const readline = require('node:readline');
const tls = require('node:tls');

const options = Object.fromEntries(process.argv.slice(1).map((argument) => argument.split('=', 2)));
const read = (path) => path && fs.readFileSync(path);

const socket = tls.connect({
  host: '127.0.0.1',
  port: Number(options.port),
  ca: read(options.ca),
  cert: read(options.cert),
  key: read(options.key),
  maxVersion: 'TLSv1.2',
}, () => console.log('connected'));

socket.on('data', (data) => process.stdout.write(`received ${data}`));
socket.on('error', (error) => console.log(`error=${error.code}`));
socket.on('close', () => process.exit());

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  if (line !== 'renegotiate') return socket.write(`${line}\n`);
  socket.renegotiate({}, (error) => console.log(`renegotiated ${error?.code ?? 'well'}`));
});
