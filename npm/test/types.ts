// Compiled, not run: a program for `node:tls` that is one for this package too, and what the package adds.

import * as builtinHttps from 'node:https'
import * as builtin from 'node:tls'
import * as nodetls from '..'
import * as http2 from '../types/http2'
import * as https from '../types/https'

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
  nodetls.createServer({ SNICallback: async (name) => nodetls.createSecureContext({ cert: name }), ALPNCallback: async ({ protocols }) => protocols[0] })
}

/** The other modules: what is for Node.js's own, and what is only ours. */
function others (): void {
  const server: builtinHttps.Server = https.createServer({ cert: 'c', headersTimeout: 1, ALPNCallback: async () => 'http/1.1' }, (request, response) => { response.end(request.url) })
  server.closeAllConnections()
  https.get('https://a.test', { ca: 'c', method: 'GET', checkServerIdentity: async () => undefined, agent: new https.Agent({ keepAlive: true }) }, (response) => { response.resume() }).end()
  https.request({ host: 'a.test', path: '/', servername: 'b.test', timeout: 1, signal: new AbortController().signal }).end()
  http2.createSecureServer({ cert: 'c', allowHTTP1: true, SNICallback: async () => null }, (request, response) => { response.end(request.url) }).setTimeout(1)
  http2.connect('https://a.test', { ca: 'c', rejectTruncated: true }, (session) => { session.close() }).request({ ':path': '/' }).setEncoding('utf8')
}

void [program, beyond, others, same]
