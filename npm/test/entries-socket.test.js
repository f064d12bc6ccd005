'use strict'

// Part D of the manual: what a tls.TLSSocket tells and does, beside what Node.js's own says of the same.

const { createHash } = require('node:crypto')
const { spawnSync } = require('node:child_process')
const { ca, certificate } = require('./fixtures')
const { VERSIONS, assert, connected, echo, inPairings, limited, nodetls, once, secure, serve, tls, withClient, withClients } = require('./world')

/** A client of this package and one of Node.js, of the same server. */
function besides (server, client, use) {
  return serve(tls, server, (port) => withClient(nodetls, { port, ...client }, (ours) => withClient(tls, { port, ...client }, async (theirs) => {
    await Promise.all([secure(ours), secure(theirs)])
    return use(ours, theirs)
  })))
}

/** Plain values, for comparison. */
const plain = (value) => JSON.parse(JSON.stringify(value))

inPairings('D01 D40 D41 D42 D43 D44 addresses are those of the connection below', (S, C) => connected(S, C, {}, async (client, server) => {
  assert.deepStrictEqual(client.address(), { address: '127.0.0.1', family: 'IPv4', port: client.localPort })
  assert.deepStrictEqual([client.localAddress, client.remoteAddress, client.remoteFamily], ['127.0.0.1', '127.0.0.1', 'IPv4'])
  assert.deepStrictEqual([client.localPort, client.remotePort], [server.remotePort, server.localPort])
}))

inPairings('D02 D03 a peer is authorized, or it is told why not', async (S, C) => {
  await connected(S, C, {}, async (client) => {
    assert.deepStrictEqual([client.authorized, client.authorizationError], [true, null])
  })
  await connected(S, C, { client: { ca: [], rejectUnauthorized: false } }, async (client) => {
    assert.deepStrictEqual([client.authorized, client.authorizationError], [false, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'])
  })
  await connected(S, C, { client: { servername: 'other.test', rejectUnauthorized: false } }, async (client) => {
    assert.deepStrictEqual([client.authorized, client.authorizationError], [false, 'ERR_TLS_CERT_ALTNAME_INVALID'])
  })
})

inPairings('D04 renegotiation can be forbidden', (S, C) => connected(S, C, { server: { maxVersion: 'TLSv1.2' } }, async (client, server) => {
  server.disableRenegotiation()
  const failed = once(server, 'error')
  client.on('error', () => {})
  client.renegotiate({}, () => {})
  assert.strictEqual((await failed)[0].code, 'ERR_TLS_RENEGOTIATION_DISABLED')
}))

limited('C04 D05 G03 a trace of the connection goes to the standard error stream', async () => {
  const program = (how) => `
    const tls = require(${JSON.stringify(require.resolve('..'))})
    const { cert, key } = ${JSON.stringify({ cert: String(certificate().cert), key: String(certificate().key) })}
    const server = tls.createServer({ cert, key, ${how === 'server' ? 'enableTrace: true' : ''} }, (socket) => socket.end())
    server.listen(0, '127.0.0.1', () => {
      const client = tls.connect({ port: server.address().port, host: '127.0.0.1', rejectUnauthorized: false, ${how === 'option' ? 'enableTrace: true' : ''} })
      ${how === 'method' ? 'client.enableTrace()' : ''}
      client.resume().on('close', () => server.close())
    })`
  for (const how of ['server', 'option', 'method']) {
    const { stderr, status } = spawnSync(process.execPath, ['-e', program(how)], { encoding: 'utf8', timeout: 8000 })
    assert.strictEqual(status, 0, stderr)
    assert.match(stderr, /ClientHello, Length=\d+/, how)
    assert.match(stderr, /Finished, Length=/, how)
  }
  const { stderr } = spawnSync(process.execPath, ['-e', program('none')], { encoding: 'utf8', timeout: 8000 })
  assert.doesNotMatch(stderr, /ClientHello/)
})

inPairings('D06 a connection says that it is encrypted', (S, C) => connected(S, C, {}, async (client, server) => {
  assert.deepStrictEqual([client.encrypted, server.encrypted], [true, true])
}))

inPairings('D07 a side tells its own certificate', (S, C) => connected(S, C, {}, async (client, server) => {
  assert.strictEqual(server.getCertificate().subject.CN, 'localhost')
  assert.deepStrictEqual(plain(client.getCertificate()), {})
  client.destroy()
  assert.strictEqual(client.getCertificate(), null)
}))

inPairings('D08 D34 suite and protocol are told', async (S, C) => {
  const SUITES = { 'TLSv1.2': ['ECDHE-ECDSA-AES128-GCM-SHA256', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256'], 'TLSv1.3': ['TLS_AES_128_GCM_SHA256', 'TLS_AES_128_GCM_SHA256'] }
  for (const version of VERSIONS) {
    const [name, standardName] = SUITES[version]
    await connected(S, C, { client: { minVersion: version, maxVersion: version, ciphers: name } }, async (client, server) => {
      for (const side of [client, server]) {
        assert.deepStrictEqual(plain(side.getCipher()), { name, standardName, version })
        assert.strictEqual(side.getProtocol(), version)
      }
      client.destroy()
      assert.strictEqual(client.getProtocol(), null)
    })
  }
})

inPairings('D09 the key of a key agreement is told to clients', (S, C) => connected(S, C, { client: { ecdhCurve: 'P-256' } }, async (client, server) => {
  assert.deepStrictEqual(plain(client.getEphemeralKeyInfo()), { type: 'ECDH', name: 'prime256v1', size: 256 })
  assert.strictEqual(server.getEphemeralKeyInfo(), null)
}))

inPairings('D10 D11 the Finished messages of one side are those that the other has received', (S, C) => connected(S, C, {}, async (client, server) => {
  assert.ok(client.getFinished().length >= 12)
  assert.deepStrictEqual(client.getFinished(), server.getPeerFinished())
  assert.deepStrictEqual(server.getFinished(), client.getPeerFinished())
}))

const EXTENSIONS = ['authorityInfoAccess=OCSP;URI:http://ocsp.test/,caIssuers;URI:http://ca.test/ca.pem']

limited('D12 D13 D14 D15 D16 D17 D18 D19 D20 D21 D22 D23 D25 D26 D27 D28 an RSA certificate has the fields that Node.js gives', () =>
  besides(certificate({ key: 'rsa', extensions: EXTENSIONS }), {}, (ours, theirs) => {
    const certificate = ours.getPeerCertificate()
    assert.deepStrictEqual(plain(certificate), plain(theirs.getPeerCertificate()))
    for (const name of ['raw', 'subject', 'issuer', 'valid_from', 'valid_to', 'serialNumber', 'fingerprint', 'fingerprint256', 'fingerprint512',
      'ext_key_usage', 'subjectaltname', 'infoAccess', 'bits', 'exponent', 'modulus', 'pubkey']) assert.ok(certificate[name], name)
    const hex = createHash('sha256').update(certificate.raw).digest('hex').toUpperCase()
    assert.strictEqual(certificate.fingerprint256.replaceAll(':', ''), hex)
    assert.deepStrictEqual([certificate.bits, certificate.exponent], [2048, '0x10001'])
  }))

limited('D12 D29 D30 D31 D32 an EC certificate has the fields that Node.js gives', () => besides(certificate(), {}, (ours, theirs) => {
  const certificate = ours.getPeerCertificate()
  assert.deepStrictEqual(plain(certificate), plain(theirs.getPeerCertificate()))
  const { bits, asn1Curve, nistCURVE: nistCurve = certificate.nistCurve, pubkey } = certificate
  assert.deepStrictEqual([bits, asn1Curve, nistCurve, pubkey.length], [256, 'prime256v1', 'P-256', 65])
}))

limited('D12 D24 the chain is told on request, up to the root, which is its own issuer', () => besides(certificate(), {}, (ours, theirs) => {
  const { issuerCertificate } = ours.getPeerCertificate(true)
  assert.strictEqual(issuerCertificate.fingerprint256, theirs.getPeerCertificate(true).issuerCertificate.fingerprint256)
  assert.strictEqual(issuerCertificate.issuerCertificate, issuerCertificate)
  assert.strictEqual(ours.getPeerCertificate().issuerCertificate, undefined)
}))

inPairings('D33 without a certificate of the peer there is an empty one, and none once the socket is destroyed', (S, C) => connected(S, C, {}, async (client, server) => {
  assert.deepStrictEqual(plain(server.getPeerCertificate()), {})
  server.destroy()
  assert.strictEqual(server.getPeerCertificate(), null)
}))

inPairings('D35 D38 D39 sessions and tickets are told, and whether they were used', (S, C) =>
  serve(S, { maxVersion: 'TLSv1.2' }, async (port) => {
    let session
    await withClient(C, { port }, async (client) => {
      await secure(client)
      session = client.getSession()
      assert.ok(Buffer.isBuffer(session) && Buffer.isBuffer(client.getTLSTicket()))
      assert.ok(session.includes(client.getTLSTicket()))
      assert.strictEqual(client.isSessionReused(), false)
    })
    await withClient(C, { port, session }, async (client) => {
      await secure(client)
      assert.strictEqual(client.isSessionReused(), true)
    })
  }))

inPairings('D36 signature algorithms that both sides know', (S, C) => connected(S, C, { client: { sigalgs: 'ECDSA+SHA256:RSA+SHA256' } }, async (client, server) => {
  assert.deepStrictEqual(server.getSharedSigalgs(), ['ECDSA+SHA256', 'RSA+SHA256'])
}))

inPairings('D37 both sides export the same key material, for each label and context another', (S, C) => connected(S, C, {}, async (client, server) => {
  const seen = new Set()
  for (const rest of [['a'], ['b'], ['a', Buffer.from('context')], ['a', Buffer.alloc(0)]]) {
    const material = client.exportKeyingMaterial(32, ...rest)
    assert.strictEqual(material.length, 32)
    assert.deepStrictEqual(material, server.exportKeyingMaterial(32, ...rest))
    seen.add(material.toString('hex'))
  }
  // In TLS 1.3 an empty context is the same as none (RFC 8446 §7.5).
  assert.strictEqual(seen.size, 3)
  assert.throws(() => client.exportKeyingMaterial(-1, 'a'), { code: 'ERR_OUT_OF_RANGE' })
  assert.throws(() => client.exportKeyingMaterial(1, 1), { code: 'ERR_INVALID_ARG_TYPE' })
}))

inPairings('labels of TLS itself are refused for exported key material', (S, C) => connected(S, C, { server: { maxVersion: 'TLSv1.2' } }, async (client, server) => {
  for (const side of [client, server]) {
    assert.throws(() => side.exportKeyingMaterial(10, 'key expansion'), (error) => {
      assert.deepStrictEqual(Object.keys(error).sort(), ['code', 'library', 'reason'])
      assert.strictEqual(error.code, 'ERR_SSL_TLS_ILLEGAL_EXPORTER_LABEL')
      return error.message === 'error:0A00016F:SSL routines::tls illegal exporter label'
    })
  }
}))

inPairings('D45 a client can renegotiate, and is told when it is done', (S, C) => connected(S, C, { server: { maxVersion: 'TLSv1.2' } }, async (client, server) => {
  server.pipe(server)
  const before = client.getFinished()
  const done = new Promise((resolve) => client.renegotiate({ rejectUnauthorized: false }, resolve))
  client.resume()
  assert.strictEqual(await done, null)
  assert.notDeepStrictEqual(client.getFinished(), before)
  assert.throws(() => client.renegotiate(), { code: 'ERR_INVALID_ARG_TYPE' })
}))

// Node.js's own calls back before the certificate has come.
withClients('D46 a server can ask for the certificate of its client later', async (C) => {
  const bob = certificate({ cn: 'bob', client: true })
  const options = { server: { maxVersion: 'TLSv1.2', ca: ca().cert }, client: bob }
  await connected(nodetls, C, options, async (client, server) => {
    client.resume()
    server.resume()
    assert.deepStrictEqual(plain(server.getPeerCertificate()), {})
    await new Promise((resolve, reject) => server.renegotiate({ requestCert: true, rejectUnauthorized: false }, (error) => error ? reject(error) : resolve()))
    assert.strictEqual(server.getPeerCertificate().subject.CN, 'bob')
  })
})

inPairings('D47 TLS 1.3 knows no renegotiation', (S, C) => connected(S, C, {}, async (client) => {
  client.on('error', () => {})
  const [error] = await new Promise((resolve) => client.renegotiate({}, (...words) => resolve(words)))
  assert.strictEqual(error.code, 'ERR_SSL_WRONG_SSL_VERSION')
}))

inPairings('D48 fragments are as small as is asked for, on this connection', (S, C) => connected(S, C, {}, async (client, server) => {
  assert.strictEqual(client.setMaxSendFragment(512), true)
  assert.strictEqual(client.setMaxSendFragment(511), false)
  assert.strictEqual(client.setMaxSendFragment(16385), false)
  server.pipe(server)
  const before = client.bytesWritten
  assert.strictEqual((await echo(client, 'x'.repeat(4000))).length, 4000)
  assert.strictEqual(client.bytesWritten - before, 4000)
}))

limited('D48 a small fragment makes small records', async () => {
  const net = require('node:net')
  await serve(nodetls, {}, async (port) => {
    const raw = net.connect(port, '127.0.0.1')
    const sizes = []
    let bytes = Buffer.alloc(0)
    const { Duplex } = require('node:stream')
    // What the client sends, record by record.
    const through = new Duplex({
      read () {},
      write (chunk, encoding, done) {
        bytes = Buffer.concat([bytes, chunk])
        for (; bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3); bytes = bytes.subarray(5 + bytes.readUInt16BE(3))) sizes.push(bytes.readUInt16BE(3))
        raw.write(chunk, done)
      },
      final (done) { raw.end(done) }
    })
    raw.on('data', (chunk) => through.push(chunk)).on('end', () => through.push(null))
    await withClient(nodetls, { socket: through }, async (client) => {
      await secure(client)
      client.setMaxSendFragment(512)
      sizes.length = 0
      await echo(client, 'x'.repeat(4096))
      assert.ok(sizes.length >= 8 && Math.max(...sizes) <= 512 + 256, sizes.join())
    })
    raw.destroy()
  })
})
