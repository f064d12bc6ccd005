'use strict'

// What is wrong with options is told exactly as node:tls tells it.

const assert = require('node:assert/strict')
const { test } = require('node:test')
const builtin = require('node:tls')
const nodetls = require('..')
const { ca, certificate, encryptedKey, openssl, pfx } = require('./fixtures')

/** Other versions word some of it differently. */
const skip = process.version.startsWith('v20.') ? false : 'the words are those of Node.js 20'

const identity = certificate()
const rsa = certificate({ key: 'rsa' })
const file = pfx(identity, 'x')

/** @type {Record<string, any[]>} */
const VALUES = {
  key: [5, true, {}, [{}], [null], [[]], [{ pem: 5 }], 'abc', '', null, identity.cert, { pem: identity.key }, Symbol('x')],
  cert: [5, {}, 'abc', '', identity.key, [5]],
  ca: [5, [5], 'abc', '', null, [], ca().cert.toString(), new Uint8Array(ca().cert), () => 1, 1n, identity.key],
  crl: [5, 'abc', '', [], ca().cert],
  pfx: [5, [{ buf: 5 }], 'abc', [], file],
  passphrase: [5],
  ciphers: [5, 'x', '', ':', null, 'TLS_AES_128_GCM_SHA256', 'TLS_FOO'],
  ecdhCurve: [5, 'foo', '', null, 'P-256:P-384', 'prime256v1'],
  dhparam: [5, 'x', true, 'auto', null, identity.cert, openssl('dhparam', '-dsaparam', '512')],
  minVersion: [5, 'x', '', null, 'TLSv1.3'],
  maxVersion: [5, 'x', '', null, 'TLSv1'],
  secureProtocol: [5, 'x', '', 'SSLv2_method', 'SSLv3_client_method', 'SSLv23_method', 'TLSv1_server_method', 'TLSv1_3_method'],
  secureOptions: ['x', 1.5, -1, 2 ** 32],
  sessionIdContext: [5],
  sessionTimeout: ['x', -1, 1.5, 3e9, 99999999999, 0],
  ticketKeys: [5, Buffer.alloc(4), new Uint16Array(24)],
  sigalgs: [5, '', null, 'RSA+SHA256:ecdsa_secp256r1_sha256'],
  clientCertEngine: [5],
  privateKeyEngine: [5, 'e'],
  privateKeyIdentifier: ['e', 5]
}

const COMBINATIONS = [
  { secureProtocol: 'TLS_method', minVersion: 'TLSv1.2' },
  { secureProtocol: 'TLS_method', maxVersion: 'TLSv1.2' },
  { secureProtocol: 5, maxVersion: 'TLSv1.2' },
  { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' },
  { privateKeyEngine: 'e', privateKeyIdentifier: 5 },
  { privateKeyEngine: 5, privateKeyIdentifier: 'e' },
  { privateKeyEngine: 'e', privateKeyIdentifier: 'e', key: identity.key, cert: identity.cert },
  { key: 'abc', passphrase: 5 },
  { key: [{ pem: 'abc', passphrase: 5 }] },
  { key: identity.key, cert: identity.cert },
  { key: [identity.key, rsa.key], cert: [identity.cert, rsa.cert] },
  { key: certificate({ cn: 'other.test' }).key, cert: identity.cert },
  { key: encryptedKey(identity, 'x') },
  { key: encryptedKey(identity, 'x'), passphrase: 'y' },
  { key: encryptedKey(identity, 'x'), passphrase: 'x' },
  { key: encryptedKey(identity, 'x'), passphrase: Buffer.from('x') },
  { pfx: file, passphrase: 'x' },
  { pfx: file, passphrase: 5 },
  { pfx: [{ buf: file, passphrase: 'x' }] },
  { pfx: [{ buf: file, passphrase: 'y' }] }
]

function outcome (tls, options) {
  try {
    return JSON.stringify(tls.createSecureContext(options))
  } catch (error) {
    return { name: error.name, code: error.code, text: String(error), facts: { ...error }, stack: error.stack.split('\n')[0] }
  }
}

for (const [name, values] of Object.entries(VALUES)) {
  test(`the option ${name} is checked as by node:tls`, { skip }, () => {
    for (const value of values) assert.deepEqual(outcome(nodetls, { [name]: value }), outcome(builtin, { [name]: value }), String(value?.toString()))
  })
}

test('options are checked together as by node:tls', { skip }, () => {
  for (const options of COMBINATIONS) assert.deepEqual(outcome(nodetls, options), outcome(builtin, options), Object.keys(options).join())
})

test('what is no object of options is refused as by node:tls', { skip }, () => {
  for (const options of [5, 'a', [], true, null, undefined]) assert.deepEqual(outcome(nodetls, options), outcome(builtin, options))
})

test('lists of protocols become the same bytes, or the same errors, as with node:tls', { skip }, () => {
  const lists = [['a', 'bc'], [], ['x'.repeat(256)], ['é'], [5], [null], [''], Buffer.from('\x01a'), new Uint16Array([1]),
    new DataView(new ArrayBuffer(2)), 'a', 5, null]
  const convert = (tls, list) => {
    try {
      const out = {}
      tls.convertALPNProtocols(list, out)
      return out
    } catch (error) {
      return String(error)
    }
  }
  for (const list of lists) assert.deepEqual(convert(nodetls, list), convert(builtin, list))
})

test('parameters of fewer than 2,048 bits are warned of', async () => {
  const warned = new Promise((resolve) => process.once('warning', resolve))
  nodetls.createSecureContext({ dhparam: openssl('dhparam', '-dsaparam', '1024') })
  const { name, message } = await warned
  assert.equal(`${name}: ${message}`, 'SecurityWarning: DH parameter is less than 2048 bits')
})

test('an engine is refused in words', () => {
  assert.throws(() => nodetls.createSecureContext({ clientCertEngine: 'e' }), { code: 'ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED' })
})

test('what is neither a list of protocols nor bytes is refused as by node:tls', () => {
  for (const ALPNProtocols of ['a', 5, {}]) {
    const words = [nodetls, builtin].map((tls) => {
      try { tls.connect({ port: 1, ALPNProtocols }).on('error', () => {}) } catch (error) { return String(error) }
    })
    assert.equal(words[0], words[1])
    assert.equal(words[0], 'TypeError: Must give a Buffer as first argument')
  }
})
