'use strict'

// Part F of the manual: the options of tls.createSecureContext, each at work in connections with Node.js's own tls.

const { constants, randomBytes } = require('node:crypto')
const { ca, certificate, encryptedKey, file, openssl, pfx } = require('./fixtures')
const { assert, connected, inPairings, refused } = require('./world')

const MODULES = [require('..'), require('node:tls')]
const other = ca({ cn: 'another CA' })
const identity = certificate()
const rsa = certificate({ key: 'rsa' })

/** The same PEM under another label. */
const relabelled = (pem, label) => pem.toString().replaceAll('CERTIFICATE', label)

/** A connection that succeeds, and what `use` finds. */
const succeeds = (S, C, options, use = () => {}) => connected(S, C, options, async (client, server) => {
  assert.ok(client.authorized)
  await use(client, server)
})

/** That the code is thrown at once, by this module as by Node.js's own. */
function throws (options, code, modules = MODULES) {
  for (const module of modules) assert.throws(() => module.createSecureContext(options), { code })
}

/** Node.js from 24 on passes over parameters in the form that is made here. */
const hasFiniteFields = (module) => module === MODULES[0] || Number.parseInt(process.versions.node) < 24

inPairings('F01 authorities may be one, many, and many in one file', async (S, C) => {
  for (const authorities of [ca().cert, String(ca().cert), [other.cert, ca().cert], Buffer.concat([other.cert, ca().cert])]) {
    await succeeds(S, C, { client: { ca: authorities } })
  }
  const { client } = await refused(S, C, { client: { ca: [other.cert] } })
  assert.strictEqual(client.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
})

inPairings('F02 an authority may be labelled X509 CERTIFICATE', (S, C) =>
  succeeds(S, C, { client: { ca: relabelled(ca().cert, 'X509 CERTIFICATE') } }))

inPairings('F03 an authority may be a TRUSTED CERTIFICATE', (S, C) =>
  succeeds(S, C, { client: { ca: openssl('x509', '-in', ca().certFile, '-trustout', '-addtrust', 'serverAuth') } }))

inPairings('F04 F05 a server has chains of several kinds, in any order', async (S, C) => {
  const server = { cert: [rsa.cert, identity.cert], key: [rsa.key, identity.key] }
  for (const [kind, type] of [['ECDSA', 'EC'], ['RSA', 'RSA']]) {
    await succeeds(S, C, { server, client: { maxVersion: 'TLSv1.2', ciphers: `ECDHE-${kind}-AES128-GCM-SHA256` } }, (client) => {
      assert.strictEqual(client.getPeerCertificate().modulus === undefined ? 'EC' : 'RSA', type)
    })
  }
})

inPairings('F04 a chain comes with its intermediates', async (S, C) => {
  const intermediate = certificate({ cn: 'intermediate', extensions: ['basicConstraints=critical,CA:TRUE'], san: 'DNS:intermediate' })
  const leaf = certificate({ ca: intermediate })
  await succeeds(S, C, { server: { cert: Buffer.concat([leaf.cert, intermediate.cert]), key: leaf.key } }, (client) => {
    const { issuerCertificate } = client.getPeerCertificate(true)
    assert.strictEqual(issuerCertificate.subject.CN, 'intermediate')
    assert.strictEqual(issuerCertificate.issuerCertificate.subject.CN, 'nodetls test CA')
  })
})

inPairings('F01 a chain needs its root, unless allowPartialTrustChain lets it end at any authority', async (S, C) => {
  const intermediate = certificate({ cn: 'intermediate', extensions: ['basicConstraints=critical,CA:TRUE'], san: 'DNS:intermediate' })
  const server = certificate({ ca: intermediate })
  const { client } = await refused(S, C, { server, client: { ca: intermediate.cert } })
  assert.strictEqual(client.code, 'UNABLE_TO_GET_ISSUER_CERT')
  // Node.js has the option since 22.9.
  if (C !== MODULES[0]) return
  await succeeds(S, C, { server, client: { ca: intermediate.cert, allowPartialTrustChain: true } })
})

inPairings('F06 F20 keys may be encrypted, with a passphrase of their own or the common one', async (S, C) => {
  const pem = encryptedKey(identity, 'secret')
  await succeeds(S, C, { server: { key: [{ pem, passphrase: 'secret' }] } })
  await succeeds(S, C, { server: { key: [{ pem }], passphrase: 'secret' } })
  await succeeds(S, C, { server: { key: pem, passphrase: 'secret' } })
})

inPairings('F07 what does not fit together is refused at once', async () => {
  throws({ cert: identity.cert, key: certificate({ cn: 'other.test' }).key }, 'ERR_OSSL_X509_KEY_VALUES_MISMATCH')
  throws({ cert: 'no PEM' }, 'ERR_OSSL_PEM_NO_START_LINE')
  throws({ cert: identity.cert, key: encryptedKey(identity, 'secret'), passphrase: 'wrong' }, 'ERR_OSSL_BAD_DECRYPT')
})

inPairings('F08 signature algorithms are those that are named', async (S, C) => {
  await succeeds(S, C, { client: { sigalgs: 'ecdsa_secp256r1_sha256' } }, (client, server) => {
    assert.deepStrictEqual(server.getSharedSigalgs(), ['ECDSA+SHA256'])
  })
  const { server } = await refused(S, C, { client: { sigalgs: 'RSA+SHA256' } })
  assert.match(server.code, /NO_SUITABLE_SIGNATURE_ALGORITHM|NO_SHARED_CIPHER/)
})

inPairings('F10 F11 F12 G02 an engine that is not there is refused at once', async () => {
  throws({ privateKeyEngine: 'none', privateKeyIdentifier: 5 }, 'ERR_INVALID_ARG_TYPE')
  throws({ privateKeyIdentifier: 'a', privateKeyEngine: undefined }, 'ERR_INVALID_ARG_VALUE')
  const [nodetls] = MODULES
  for (const options of [{ clientCertEngine: 'none' }, { privateKeyEngine: 'none', privateKeyIdentifier: 'x' }]) {
    assert.throws(() => nodetls.createSecureContext(options), { code: 'ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED' })
    assert.throws(() => nodetls.createServer(options), { code: 'ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED' })
  }
})

/** A list of what an authority has revoked. */
function revocations (authority, ...revoked) {
  const config = file('crl.cnf', '[ca]\ndefault_ca=x\n[x]\ndatabase=crl.txt\ndefault_md=sha256\ndefault_crl_days=1\ncrlnumber=crl.no\n')
  file('crl.no', '01\n')
  file('crl.txt', '')
  file('crl.txt.attr', 'unique_subject = no\n')
  const words = ['ca', '-config', config, '-keyfile', authority.keyFile, '-cert', authority.certFile]
  for (const { certFile } of revoked) openssl(...words, '-revoke', certFile)
  return openssl(...words, '-gencrl')
}

inPairings('F13 a revoked certificate is refused, where a list says so', async (S, C) => {
  const [none, some] = [revocations(ca()), revocations(ca(), identity)]
  await succeeds(S, C, { client: { crl: none } })
  for (const crl of [some, [some]]) {
    const { client } = await refused(S, C, { client: { crl } })
    assert.strictEqual(client.code, 'CERT_REVOKED')
  }
})

inPairings('F14 parameters make Diffie-Hellman over finite fields possible', async (S, C) => {
  if (!hasFiniteFields(S)) return
  await succeeds(S, C, {
    server: { cert: rsa.cert, key: rsa.key, dhparam: openssl('dhparam', '-dsaparam', '2048'), ciphers: 'DHE-RSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' },
    client: { ciphers: 'DHE-RSA-AES128-GCM-SHA256' }
  }, (client) => assert.deepStrictEqual(JSON.parse(JSON.stringify(client.getEphemeralKeyInfo())), { type: 'DH', size: 2048 }))
})

inPairings('F15 parameters of fewer than 1,024 bits are refused', async () => {
  throws({ dhparam: openssl('dhparam', '-dsaparam', '512') }, 'ERR_INVALID_ARG_VALUE', MODULES.filter(hasFiniteFields))
})

inPairings('F16 curves are one, several, or the library\'s own', async (S, C) => {
  for (const [ecdhCurve, name] of [['P-384', 'secp384r1'], ['P-521:P-256', 'secp521r1']]) {
    await succeeds(S, C, { server: { cert: rsa.cert, key: rsa.key, ecdhCurve, maxVersion: 'TLSv1.2' }, client: { ecdhCurve: ecdhCurve.split(':')[0] } }, (client) => {
      assert.strictEqual(client.getEphemeralKeyInfo().name, name)
    })
  }
  await succeeds(S, C, { server: { ecdhCurve: 'auto' }, client: { ecdhCurve: 'X25519' } }, (client) => {
    assert.deepStrictEqual({ ...client.getEphemeralKeyInfo() }, { type: 'ECDH', name: 'X25519', size: 253 })
  })
  throws({ ecdhCurve: 'no curve' }, 'ERR_CRYPTO_OPERATION_FAILED')
})

inPairings('F17 the server\'s order of suites counts, or the client\'s', async (S, C) => {
  const [first, second] = ['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-AES128-GCM-SHA256']
  for (const [honorCipherOrder, expected] of [[undefined, first], [true, first], [false, second]]) {
    const options = {
      server: { ciphers: `${first}:${second}`, maxVersion: 'TLSv1.2', ...(honorCipherOrder === undefined ? {} : { honorCipherOrder }) },
      client: { ciphers: `${second}:${first}` }
    }
    await succeeds(S, C, options, (client) => assert.strictEqual(client.getCipher().name, expected))
  }
})

inPairings('F18 F19 versions have bounds on both sides', async (S, C) => {
  await succeeds(S, C, { server: { maxVersion: 'TLSv1.2' } }, (client) => assert.strictEqual(client.getProtocol(), 'TLSv1.2'))
  await succeeds(S, C, { client: { minVersion: 'TLSv1.3' } }, (client) => assert.strictEqual(client.getProtocol(), 'TLSv1.3'))
  const { server } = await refused(S, C, { server: { minVersion: 'TLSv1.3' }, client: { maxVersion: 'TLSv1.2' } })
  assert.strictEqual(server.code, 'ERR_SSL_UNSUPPORTED_PROTOCOL')
  throws({ minVersion: 'SSLv3' }, 'ERR_TLS_INVALID_PROTOCOL_VERSION')
  throws({ maxVersion: 'TLSv1.4' }, 'ERR_TLS_INVALID_PROTOCOL_VERSION')
})

inPairings('F21 credentials come in PKCS#12 files, one or many', async (S, C) => {
  const none = { cert: undefined, key: undefined }
  const one = pfx(identity, 'secret', ca())
  await succeeds(S, C, { server: { ...none, pfx: one, passphrase: 'secret' } })
  await succeeds(S, C, { server: { ...none, pfx: [one], passphrase: 'secret' } })
  await succeeds(S, C, {
    server: { ...none, pfx: [{ buf: one, passphrase: 'secret' }, { buf: pfx(rsa, 'other'), passphrase: 'other' }] },
    client: { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }
  })
  for (const module of MODULES) assert.throws(() => module.createSecureContext({ pfx: one, passphrase: 'wrong' }), { message: 'mac verify failure' })
})

inPairings('F22 PKCS#12 files with the ciphers of old are read', async (S, C) => {
  const old = (...words) => openssl('pkcs12', '-export', '-legacy', '-inkey', identity.keyFile, '-in', identity.certFile, ...words, '-passout', 'pass:x')
  const [nodetls] = MODULES
  // Node.js reads those with RC2 only where the machine's OpenSSL has its legacy provider.
  if (S !== nodetls) return
  for (const words of [[], ['-certpbe', 'PBE-SHA1-3DES', '-keypbe', 'PBE-SHA1-3DES']]) {
    await succeeds(S, C, { server: { cert: undefined, key: undefined, pfx: old(...words), passphrase: 'x' } })
  }
})

inPairings('F23 options of OpenSSL by number', async (S, C) => {
  await succeeds(S, C, { server: { secureOptions: constants.SSL_OP_NO_TLSv1_3 } }, (client) => assert.strictEqual(client.getProtocol(), 'TLSv1.2'))
  throws({ secureOptions: 'x' }, 'ERR_INVALID_ARG_TYPE')
})

inPairings('F24 a method names the version', async (S, C) => {
  await succeeds(S, C, { server: { secureProtocol: 'TLSv1_2_method' } }, (client) => assert.strictEqual(client.getProtocol(), 'TLSv1.2'))
  await succeeds(S, C, { client: { secureProtocol: 'TLS_client_method' } }, (client) => assert.strictEqual(client.getProtocol(), 'TLSv1.3'))
  throws({ secureProtocol: 'SSLv2_method' }, 'ERR_TLS_INVALID_PROTOCOL_METHOD')
  throws({ secureProtocol: 'TLSv1_2_method', minVersion: 'TLSv1.2' }, 'ERR_TLS_PROTOCOL_VERSION_CONFLICT')
})

inPairings('F25 a session is resumed only where its context has the same name', async (S, C) => {
  const ticketKeys = randomBytes(48)
  const options = (sessionIdContext) => ({ server: { ticketKeys, sessionIdContext, maxVersion: 'TLSv1.2' } })
  let session
  await succeeds(S, C, options('one'), (client) => { session = client.getSession() })
  await succeeds(S, C, { ...options('one'), client: { session } }, (client) => assert.ok(client.isSessionReused()))
  await succeeds(S, C, { ...options('two'), client: { session } }, (client) => assert.ok(!client.isSessionReused()))
})
