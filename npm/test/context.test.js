'use strict'

// Contexts at work: each form of credentials makes connections possible.

const assert = require('node:assert/strict')
const { X509Certificate, createPrivateKey } = require('node:crypto')
const { once } = require('node:events')
const { test } = require('node:test')
const builtin = require('node:tls')
const tls = require('..')
const { ca, certificate, encryptedKey, openssl, pfx } = require('./fixtures')

const identity = certificate()
const authority = ca()

/** What comes of a connection: the client's protocol, or its error. */
async function handshake (serverOptions, clientOptions) {
  const server = tls.createServer(serverOptions, (socket) => socket.end())
  server.on('tlsClientError', () => {})
  server.listen(0)
  await once(server, 'listening')
  const client = tls.connect({ port: server.address().port, host: 'localhost', ca: authority.cert, ...clientOptions })
  // The server closes at once, and a closed socket knows no protocol.
  let protocol
  client.once('secureConnect', () => { protocol = client.getProtocol() })
  try {
    await once(client, 'secureConnect')
    return protocol
  } catch (error) {
    return error.code
  } finally {
    client.destroy()
    server.close()
  }
}

const der = (pem) => new X509Certificate(pem).raw
const key = createPrivateKey(identity.key)

const longest = 'x'.repeat(1024)

const FORMS = {
  'a certificate that comes twice': { cert: [identity.cert, identity.cert], key: [identity.key, identity.key] },
  'the last certificate of its kind': { cert: [certificate({ cn: 'another' }).cert, identity.cert], key: identity.key },
  'the same PKCS#12 twice': { pfx: [pfx(identity, 'secret'), pfx(identity, 'secret')], passphrase: 'secret' },
  'a key with the longest passphrase': { cert: identity.cert, key: encryptedKey(identity, longest), passphrase: longest },
  'text': { cert: identity.cert.toString(), key: identity.key.toString() },
  'lists': { cert: [identity.cert], key: [identity.key] },
  'typed arrays': { cert: new Uint8Array(identity.cert), key: new Uint8Array(identity.key) },
  'objects with a key': { cert: identity.cert, key: [{ pem: encryptedKey(identity, 'secret'), passphrase: 'secret' }] },
  'an encrypted key and the common passphrase': { cert: identity.cert, key: encryptedKey(identity, 'secret'), passphrase: 'secret' },
  'DER': { cert: der(identity.cert), key: key.export({ type: 'pkcs8', format: 'der' }) },
  'DER of the older kind': { cert: der(identity.cert), key: key.export({ type: 'sec1', format: 'der' }) },
  'KeyObject and X509Certificate': { cert: new X509Certificate(identity.cert), key },
  'PKCS#12': { pfx: pfx(identity, 'secret'), passphrase: 'secret' },
  'a list of PKCS#12': { pfx: [{ buf: pfx(identity, 'secret'), passphrase: 'secret' }] }
}

for (const [name, options] of Object.entries(FORMS)) {
  test(`a server is who it says it is by ${name}`, async () => {
    assert.equal(await handshake(options), 'TLSv1.3')
  })
}

test('authorities may be given in DER and as X509Certificate', async () => {
  assert.equal(await handshake(identity, { ca: der(authority.cert) }), 'TLSv1.3')
  assert.equal(await handshake(identity, { ca: [new X509Certificate(authority.cert)] }), 'TLSv1.3')
})

test('an authority that cannot be read trusts nobody', async () => {
  assert.equal(await handshake(identity, { ca: 'no certificate' }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
})

test('an authority added to a finished context is trusted from then on', async () => {
  const secureContext = tls.createSecureContext()
  assert.equal(await handshake(identity, { secureContext, ca: undefined }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  secureContext.context.addCACert(authority.cert)
  assert.equal(await handshake(identity, { secureContext, ca: undefined }), 'TLSv1.3')
})

test('a context may be built by its parts', async () => {
  const secureContext = tls.createSecureContext()
  secureContext.context.setCert(identity.cert)
  secureContext.context.setKey(identity.key)
  assert.equal(await handshake({ SNICallback: (name, done) => done(null, secureContext) }, { servername: 'localhost' }), 'TLSv1.3')
  assert.deepEqual(secureContext.context.getCertificate(), der(identity.cert))
})

test('parts that cannot be read are refused at once, and not kept', () => {
  const { context } = tls.createSecureContext()
  assert.throws(() => context.setCert('abc'), { code: 'ERR_OSSL_PEM_NO_START_LINE' })
  assert.throws(() => context.setKey('abc'), { code: 'ERR_OSSL_UNSUPPORTED' })
  assert.throws(() => context.addCRL('abc'), { code: 'ERR_CRYPTO_OPERATION_FAILED' })
  assert.throws(() => context.setCiphers('abc'), { code: 'ERR_SSL_NO_CIPHER_MATCH' })
  context.setCert(identity.cert)
  assert.ok(context.native)
})

test('the issuer is found among what the context holds', () => {
  const { context } = tls.createSecureContext({ cert: identity.cert, key: identity.key, ca: authority.cert })
  assert.deepEqual(context.getIssuer(), der(authority.cert))
})

test('versions have effect', async () => {
  assert.equal(await handshake({ ...identity, maxVersion: 'TLSv1.2' }), 'TLSv1.2')
  assert.equal(await handshake({ ...identity, minVersion: 'TLSv1' }, { minVersion: 'TLSv1', maxVersion: 'TLSv1' }), 'TLSv1')
  assert.equal(await handshake({ ...identity, secureProtocol: 'TLSv1_2_method' }), 'TLSv1.2')
})

test('versions that exclude each other fail the connection, not the context', async () => {
  assert.equal(await handshake(identity, { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' }), 'ERR_SSL_NO_PROTOCOLS_AVAILABLE')
})

test('suites of TLS 1.3 alone switch the versions before off, and none of them leaves it on', async () => {
  const old = { maxVersion: 'TLSv1.2' }
  assert.equal(await handshake({ ...identity, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }), 'TLSv1.3')
  assert.equal(await handshake({ ...identity, ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' }, old), 'TLSv1.2')
  assert.equal(await handshake({ ...identity, ciphers: 'TLS_AES_128_GCM_SHA256' }), 'TLSv1.3')
  assert.equal(await handshake({ ...identity, ciphers: 'TLS_AES_128_GCM_SHA256' }, old), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
})

test('methods and numbers name the versions as in node:tls', () => {
  const range = (options, change = () => {}) => [tls, builtin].map((module) => {
    const { context } = module.createSecureContext(options)
    change(context)
    return [context.getMinProto(), context.getMaxProto()]
  })
  for (const name of ['TLS', 'SSLv23', 'TLSv1', 'TLSv1_1', 'TLSv1_2']) {
    const [ours, theirs] = range({ secureProtocol: `${name}_method` })
    assert.deepEqual(ours, theirs, name)
  }
  for (const options of [{}, { minVersion: 'TLSv1' }, { maxVersion: 'TLSv1.2' }]) {
    const [ours, theirs] = range(options)
    assert.deepEqual(ours, theirs)
  }
  const [ours, theirs] = range({}, (context) => { context.setMinProto(0x302); context.setMaxProto(0x303) })
  assert.deepEqual(ours, theirs)
})

test('SSLv23_method goes down no further than the default', async () => {
  const { minVersion, maxVersion, ciphers } = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' }
  const server = { ...identity, secureProtocol: 'SSLv23_method', ciphers }
  assert.equal(await handshake(server, { minVersion, maxVersion, ciphers }), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
})

test('keys of tickets and the context of sessions are kept for the server', () => {
  const ticketKeys = Buffer.alloc(48, 7)
  const { context } = tls.createSecureContext({ ticketKeys, sessionIdContext: 'x' })
  assert.deepEqual(context.getTicketKeys(), ticketKeys)
  assert.equal(context.getSessionIdContext(), 'x')
})

test('buffers may be changed after a context was made of them', async () => {
  const [cert, privateKey] = [Buffer.from(identity.cert), Buffer.from(identity.key)]
  const secureContext = tls.createSecureContext({ cert, key: privateKey })
  cert.fill(0)
  privateKey.fill(0)
  secureContext.context.addCACert(authority.cert)
  assert.ok(secureContext.context.native)
})

test('a passphrase is not cut where it is too long', () => {
  const locked = encryptedKey(identity, longest)
  assert.throws(() => tls.createSecureContext({ key: locked, passphrase: `${longest}y` }), { code: 'ERR_OSSL_BAD_DECRYPT' })
})

test('a key that says it has no passphrase does not get the common one', () => {
  const locked = encryptedKey(identity, 'secret')
  const options = { key: [{ pem: locked, passphrase: null }], passphrase: 'secret' }
  assert.throws(() => tls.createSecureContext(options), { code: 'ERR_OSSL_BAD_DECRYPT' })
})

test('a PKCS#12 file without a key, or without its certificate, is refused in the words of node:tls', () => {
  const files = { 'private key': ['-nokeys', '-in', identity.certFile], certificate: ['-nocerts', '-inkey', identity.keyFile] }
  for (const [missing, words] of Object.entries(files)) {
    const file = openssl('pkcs12', '-export', '-passout', 'pass:secret', ...words)
    const expected = { code: 'ERR_CRYPTO_OPERATION_FAILED', message: `Unable to load ${missing} from PFX data` }
    assert.throws(() => tls.createSecureContext({ pfx: file, passphrase: 'secret' }), expected)
  }
})

test('a PKCS#12 file that is none is told apart from one that was cut off', () => {
  const reason = (file) => {
    try { tls.createSecureContext({ pfx: file }) } catch ({ code, message }) { return [code, message] }
  }
  assert.deepEqual(reason(Buffer.alloc(10)), [undefined, 'wrong tag'])
  assert.deepEqual(reason(pfx(identity, 'x').subarray(0, 100)), [undefined, 'not enough data'])
})
