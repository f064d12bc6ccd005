// Compiled, not run: a program for `node:tls` that is one for this package too, and what the package adds.

import * as builtin from 'node:tls'
import * as nodetls from './index'

/** What is only Node.js's is the same here. */
const same: Pick<typeof builtin, 'TLSSocket' | 'Server' | 'getCiphers' | 'rootCertificates' | 'checkServerIdentity' | 'DEFAULT_CIPHERS'> = nodetls

function program (tls: typeof nodetls): void {
  const server = tls.createServer({ cert: 'c', key: 'k', requestCert: true, SNICallback: (name, done) => done(null, tls.createSecureContext({ cert: name })) })
  server.on('secureConnection', (socket) => { socket.write(socket.getProtocol() ?? ''); socket.getPeerCertificate(true).issuerCertificate.raw.length.toFixed() })
  server.addContext('a.test', { cert: 'c' })
  const socket = tls.connect({ port: 1, servername: 'a.test', minVersion: 'TLSv1.3' }, () => {})
  socket.once('secureConnect', () => socket.end(socket.getCipher().name))
  const names: string[] = tls.getCiphers()
  names.join(tls.DEFAULT_MIN_VERSION)
}

async function beyond (): Promise<void> {
  const server = nodetls.createServer({ onClientHello: async (hello) => hello.ja4.length > 0, newSession: async () => {}, pskCallback: async () => null })
  for await (const socket of server) socket.end()
  const socket = await nodetls.connect({ port: 1, rejectTruncated: true, checkServerIdentity: async () => undefined }).ready()
  socket.end()
}

void [program, beyond, same]
