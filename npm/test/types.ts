// Compiled, not run: a program for `node:tls` that is one for this package too, and what the package adds.

import { KeyObject, X509Certificate } from 'node:crypto'
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

/** Every function, option, event and member that the manual has. */
function manual (tls: typeof nodetls): void {
  const context = tls.createSecureContext({
    ca: ['c', Buffer.alloc(1)], cert: [Buffer.alloc(1)], key: [{ pem: 'k', passphrase: 'p' }], sigalgs: 's', ciphers: 'c', crl: 'c',
    dhparam: 'auto', ecdhCurve: 'auto', honorCipherOrder: true, maxVersion: 'TLSv1.3', minVersion: 'TLSv1.2', passphrase: 'p',
    pfx: [{ buf: Buffer.alloc(1), passphrase: 'p' }], secureOptions: 1, sessionIdContext: 's', ticketKeys: Buffer.alloc(48), sessionTimeout: 1,
    privateKeyEngine: 'e', privateKeyIdentifier: 'i', clientCertEngine: 'e', allowPartialTrustChain: true
  })
  tls.createSecureContext({ secureProtocol: 'TLSv1_2_method' })
  const server = tls.createServer({
    ALPNProtocols: ['h2'], requestCert: true, rejectUnauthorized: false, handshakeTimeout: 1, sessionTimeout: 1, ticketKeys: Buffer.alloc(48),
    SNICallback: (servername, done) => { done(servername ? null : new Error('none'), context) }, enableTrace: false, pauseOnConnect: true,
    pskCallback: (socket, identity) => socket.servername === identity ? Buffer.alloc(1) : null, pskIdentityHint: 'h'
  }, (socket) => { socket.end() })
  server.on('keylog', (line, socket) => { socket.write(line) })
  server.on('newSession', (id, data, done) => { id.equals(data); done() })
  server.on('resumeSession', (id, done) => { done(null, id) })
  server.on('OCSPRequest', (certificate, issuer, done) => { certificate.equals(issuer); done(null, Buffer.alloc(1)) })
  server.on('tlsClientError', (error, socket) => { socket.destroy(error) })
  server.on('connection', (socket) => { socket.pause() })
  server.addContext('a.test', context)
  server.setSecureContext({ cert: 'c', key: 'k' })
  server.setTicketKeys(server.getTicketKeys())
  server.listen(0, () => { server.address() })
  const socket = tls.connect({
    host: 'a', port: 1, path: 'p', socket: undefined, servername: 's', session: Buffer.alloc(1), ALPNProtocols: ['x', 'y'], minDHSize: 1024, timeout: 1,
    secureContext: context, requestOCSP: true, enableTrace: true, highWaterMark: 1, checkServerIdentity: tls.checkServerIdentity, lookup: undefined,
    pskCallback: (hint) => ({ psk: Buffer.alloc(1), identity: hint ?? 'i' }), allowHalfOpen: true, rejectUnauthorized: true,
    localAddress: 'l', family: 4, hints: 0, noDelay: true, keepAlive: true, autoSelectFamily: true, signal: new AbortController().signal,
    onread: { buffer: Buffer.alloc(1), callback: () => true }
  })
  tls.connect(1, 'a', { ca: 'c' }, () => {})
  tls.connect('path', { ca: 'c' })
  socket.on('OCSPResponse', (response) => { response.toString() }).on('session', (session) => { session.toString() }).on('keylog', (line) => { line.toString() })
  const { authorized, authorizationError, encrypted, alpnProtocol, servername } = socket
  const certificate = socket.getPeerCertificate()
  const facts: (string | boolean | number | undefined | null | Error | Buffer | false)[] = [
    authorized, authorizationError, encrypted, alpnProtocol, servername ?? null, certificate.subject.CN as string, certificate.issuer.O as string,
    certificate.subjectaltname, certificate.valid_from, certificate.valid_to, certificate.serialNumber, certificate.fingerprint, certificate.fingerprint256,
    certificate.fingerprint512, certificate.ca, certificate.raw, certificate.pubkey, certificate.bits, certificate.modulus, certificate.exponent,
    certificate.asn1Curve, certificate.nistCurve, certificate.ext_key_usage?.join(), certificate.infoAccess?.['OCSP - URI']?.join(),
    socket.getFinished(), socket.getPeerFinished(), socket.getSession(), socket.getTLSTicket(), socket.isSessionReused(), socket.getProtocol(),
    socket.getCipher().standardName, socket.getSharedSigalgs().join(), socket.setMaxSendFragment(512), socket.exportKeyingMaterial(1, 'l', Buffer.alloc(0)),
    socket.getX509Certificate()?.subject, socket.getPeerX509Certificate()?.subject, socket.localAddress, socket.remotePort, socket.bytesWritten
  ]
  socket.getCertificate()
  socket.getEphemeralKeyInfo()
  socket.renegotiate({ rejectUnauthorized: true, requestCert: true }, (error) => { socket.destroy(error ?? undefined) })
  socket.disableRenegotiation()
  socket.enableTrace()
  socket.setKeyCert(context)
  new tls.TLSSocket(socket, { isServer: true, secureContext: context, server }).end(facts.join())
  const settings: (string | number | readonly string[])[] = [tls.DEFAULT_CIPHERS, tls.DEFAULT_ECDH_CURVE, tls.DEFAULT_MAX_VERSION, tls.DEFAULT_MIN_VERSION,
    tls.CLIENT_RENEG_LIMIT, tls.CLIENT_RENEG_WINDOW, tls.rootCertificates, tls.getCiphers(), tls.getCACertificates('bundled')]
  tls.setDefaultCACertificates(settings.map(String))
}

/** Credentials in the forms that only this package takes. */
function credentials (key: KeyObject, certificate: X509Certificate): void {
  const options = { key, cert: certificate, ca: [certificate, certificate.raw] }
  nodetls.createServer(options).setSecureContext({ ...options, key: [{ pem: key }, new Uint8Array(1)], crl: [new DataView(new ArrayBuffer(1))] })
  nodetls.connect({ ...options, externalKey: true, sign: async ({ message }) => message })
  nodetls.createSecureContext({ ...options, externalKey: true })
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

void [program, manual, credentials, beyond, others, same]
