'use strict'

const assert = require('node:assert')
const crypto = require('node:crypto')
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')
const { Worker } = require('node:worker_threads')

const { ca, certificate, ocspResponse } = require('../fixtures')
const { Pair, bytesRead, clientContext, native, serverContext } = require('./pair')

const VERSIONS = ['TLSv1.2', 'TLSv1.3']
const only = (version) => ({ minVersion: version, maxVersion: version })

for (const version of VERSIONS) {
  test(`a handshake and data in memory, ${version}`, () => {
    const pair = new Pair({ context: only(version), server: { alpnProtocols: [Buffer.from('h2')] }, client: { alpnProtocols: [Buffer.from('x'), Buffer.from('h2')] } }).drive()
    assert.ok(pair.types('client').includes('secure') && pair.types('server').includes('secure'))
    assert.strictEqual(pair.client.protocol(), version)
    assert.strictEqual(pair.server.servername(), 'localhost')
    assert.strictEqual(String(pair.client.alpnProtocol()), 'h2')
    assert.ok(pair.client.authorized())
    assert.strictEqual(pair.client.authorizationError(), null)
    assert.deepStrictEqual(pair.client.finished(), pair.server.peerFinished())
    assert.strictEqual(pair.send(pair.client, pair.server, 'hello'), 'hello')
    assert.strictEqual(pair.send(pair.server, pair.client, 'and back'), 'and back')
    // Where there is no room it waits to be taken.
    assert.strictEqual(pair.client.sendCloseNotify(Buffer.alloc(0)), 0)
    pair.drive()
    assert.strictEqual(bytesRead(pair.server.read(Buffer.alloc(10), 0)), -1)
    pair.server.endOfStream()
  })

  test(`a session is resumed, ${version}`, () => {
    const server = serverContext(only(version))
    const config = native.NativeServerConfig.create({ requestCert: false, rejectUnauthorized: true, questions: [], ticketKeys: crypto.randomBytes(48) })
    let session
    for (const reused of [false, true]) {
      const pair = new Pair({ client: { session } })
      pair.server = native.NativeConnection.server(server, config)
      pair.drive()
      // In TLS 1.3 sessions come among the data.
      assert.strictEqual(bytesRead(pair.client.read(Buffer.alloc(1), 0)), 0)
      pair.drive()
      assert.strictEqual(pair.client.isSessionReused(), reused)
      session = pair.events.client.findLast(({ type }) => type === 'session')?.session
    }
  })

  test(`each question may fail, and the error's text is kept, ${version}`, () => {
    const sides = { server: ['clientHello', 'selectContext', 'selectAlpn', 'ocspRequest'], client: ['verifyPeer'] }
    for (const [side, names] of Object.entries(sides)) {
      for (const name of names) {
        const options = { alpnProtocols: [Buffer.from('h2')], requestOCSP: true }
        const pair = new Pair({ context: only(version), client: options, server: { alpnProtocols: [Buffer.from('h2')] }, ...{ [side]: { ...options, questions: [name] } } })
        pair.answers[name] = (connection) => connection.fail('no, because')
        pair.drive()
        assert.strictEqual(pair.failure(side)?.kind, 'callback', name)
        assert.match(pair.failure(side).message, /no, because/)
      }
    }
  })

  test(`answers count, ${version}`, () => {
    const other = certificate({ cn: 'other.test' })
    const pair = new Pair({
      context: only(version),
      client: { alpnProtocols: [Buffer.from('a'), Buffer.from('b')], requestOCSP: true, questions: ['verifyPeer'] },
      server: { questions: ['selectContext', 'selectAlpn', 'ocspRequest'] }
    })
    const response = ocspResponse(other)
    pair.answers.selectContext = (connection, event) => {
      assert.strictEqual(event.servername, 'localhost')
      assert.ok(event.hello.cipherSuites.length > 0 && event.hello.raw.length > 100)
      connection.answerWithContext(native.NativeContext.create({ cert: [other.cert], key: [{ pem: other.key }], ...only(version) }))
    }
    pair.answers.selectAlpn = (connection, event) => connection.answerWithBytes(event.protocols[1])
    pair.answers.ocspRequest = (connection, event) => {
      assert.ok(event.certificate.equals(new crypto.X509Certificate(other.cert).raw))
      connection.answerWithBytes(response)
    }
    pair.answers.verifyPeer = (connection, event) => {
      assert.strictEqual(event.objection.code, 'ERR_TLS_CERT_ALTNAME_INVALID')
      assert.strictEqual(event.objection.host, 'localhost')
      connection.answerWithWord('accept')
    }
    pair.drive()
    assert.strictEqual(String(pair.server.alpnProtocol()), 'b')
    assert.ok(pair.events.client.find(({ type }) => type === 'ocspResponse').response.equals(response))
    assert.ok(pair.client.authorized())
  })

  test(`errors are data, ${version}`, () => {
    const pair = new Pair({ context: only(version), clientContextOptions: { ca: [certificate({ ca: null, cn: 'stranger' }).cert] } }).drive()
    assert.strictEqual(pair.failure('client').code, 'SELF_SIGNED_CERT_IN_CHAIN')
    assert.strictEqual(pair.failure('client').kind, 'verify')
    assert.strictEqual(pair.failure('client').depth, 1)
    assert.strictEqual(pair.failure('server').kind, 'alert')
    assert.strictEqual(pair.failure('server').library, 'SSL routines')
    assert.throws(() => pair.server.write(Buffer.alloc(1), 0, 1), (error) => error.native.nativeError)
  })
}

test('a private key that is elsewhere signs', () => {
  const { cert, key } = certificate()
  const pair = new Pair({ server: { questions: ['sign'] }, context: { key: [], externalKey: true, cert: [cert] } })
  pair.answers.sign = (connection, event) => {
    assert.strictEqual(event.scheme, 'ecdsa_secp256r1_sha256')
    connection.answerWithBytes(crypto.sign(event.hash, event.message, key))
  }
  pair.drive()
  assert.ok(pair.types('client').includes('secure'))
})

/** What `goOn` says while a thread works for the connection. */
const WORKING = 1

test('the pool does the work, and says so', async () => {
  // Work in flight keeps no process alive; sockets do, which there are none of here.
  const alive = setInterval(() => {}, 1000)
  const waiting = new Map()
  native.setWorkDone((ids) => { for (const id of ids) waiting.get(id)?.() })
  const step = async (connection) => {
    if (!(connection.goOn() & WORKING)) return
    assert.strictEqual(connection.poll(), null)
    await new Promise((resolve) => waiting.set(connection.id, resolve))
  }
  await Promise.all(Array.from({ length: 50 }, async () => {
    const pair = new Pair()
    for (let round = 0; round < 6; round++) {
      for (const [from, to] of [[pair.client, pair.server], [pair.server, pair.client]]) {
        await step(from)
        from.poll()
        const bytes = from.transmit()
        if (bytes) to.receive(bytes, 0, bytes.length)
      }
    }
    assert.ok(pair.client.isOpen() && pair.server.isOpen())
  }))
  clearInterval(alive)
})

test('a connection that is disposed of holds nothing, also while a thread works for it', async () => {
  const pair = new Pair().drive()
  pair.client.dispose()
  // By this thread, or by one that is awake.
  while (pair.client.isOpen()) await new Promise(setImmediate)
  assert.strictEqual(pair.client.cipher(), null)
  assert.strictEqual(pair.client.poll(), null)
  native.setWorkDone(() => {})
  for (let count = 0; count < 20; count++) {
    const { client: open } = new Pair().drive()
    const { client } = new Pair()
    assert.ok(open.isOpen())
    // A thread is awake for the one, and frees the other as well.
    client.goOn()
    client.dispose()
    open.dispose()
    while (client.goOn() & WORKING || open.isOpen()) await new Promise(setImmediate)
    assert.strictEqual(client.poll(), null)
    assert.strictEqual(open.poll(), null)
  }
})

test('contexts that cannot be made say which option is wrong', () => {
  for (const [options, option, code] of [
    [{ ciphers: 'nonsense' }, 'ciphers', 'ERR_SSL_NO_CIPHER_MATCH'],
    [{ cert: [Buffer.from('x')] }, 'cert', 'ERR_OSSL_PEM_NO_START_LINE'],
    [{ ecdhCurve: 'nonsense' }, 'ecdhCurve', 'ERR_CRYPTO_OPERATION_FAILED'],
    [{ secureProtocol: 'nonsense' }, 'secureProtocol', 'ERR_TLS_INVALID_PROTOCOL_METHOD']
  ]) {
    assert.throws(() => clientContext(options), ({ native: error }) => error.option === option && error.code === code, option)
  }
})

test('rubbish has typed errors and no other effect', () => {
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), crypto.randomBytes(4096), Buffer.alloc(70000)]) {
    const { server, client } = new Pair()
    client.poll()
    for (const connection of [server, client]) {
      connection.receive(bytes, 0, bytes.length)
      const failed = (connection.poll() ?? []).find(({ type }) => type === 'failed')
      assert.match(failed?.error.code ?? 'none', /^ERR_SSL_/)
    }
  }
  const { server } = new Pair()
  assert.throws(() => server.receive(Buffer.alloc(1), 0, 5))
  assert.throws(() => server.receive(Buffer.alloc(1), 5, 2))
  assert.throws(() => server.read(Buffer.alloc(1), 9))
  assert.throws(() => server.decline())
  assert.throws(() => server.fail('no question'))
  assert.throws(() => native.certificateFields(Buffer.from('x')))
  assert.throws(() => native.NativeConnection.client({}, {}))
})

test('the fields of a certificate are those that node:crypto gives', () => {
  const extensions = ['authorityInfoAccess=OCSP;URI:http://ocsp.test/,caIssuers;URI:http://ca.test/']
  for (const key of ['ec', 'rsa']) {
    const { cert } = certificate({ key, cn: 'fields.test', subject: '/C=UK/O=A/OU=x/OU=y/CN=fields.test', extensions })
    const theirs = new crypto.X509Certificate(cert)
    const legacy = theirs.toLegacyObject()
    const ours = native.certificateFields(theirs.raw)
    for (const [field, value] of Object.entries(legacy)) {
      if (['raw', 'ca', 'subject', 'issuer', 'infoAccess'].includes(field)) continue
      const name = { ext_key_usage: 'extKeyUsage', valid_from: 'validFrom', valid_to: 'validTo', asn1Curve: 'asn1Curve' }[field] ?? field
      assert.deepStrictEqual(ours[name], value, field)
    }
    assert.deepStrictEqual(ours.subject, ['C', 'UK', 'O', 'A', 'OU', 'x', 'OU', 'y', 'CN', 'fields.test'])
    assert.deepStrictEqual(ours.infoAccess, ['OCSP', 'URI:http://ocsp.test/', 'CA Issuers', 'URI:http://ca.test/'])
  }
})

test('names are checked on certificates', () => {
  const { raw } = new crypto.X509Certificate(certificate().cert)
  assert.strictEqual(native.checkServerIdentityDer('localhost', raw), null)
  assert.strictEqual(native.checkServerIdentityDer('other.test', raw).code, 'ERR_TLS_CERT_ALTNAME_INVALID')
})

test('ciphers and roots', () => {
  assert.ok(native.ciphers().includes('tls_aes_128_gcm_sha256'))
  assert.ok(native.rootCertificates().length > 100)
  assert.ok(native.rootCertificates().every((pem) => new crypto.X509Certificate(pem).ca))
})

test('the addon has an OpenSSL of its own and shows none of it', () => {
  const directory = path.dirname(require.resolve('../../lib/generated'))
  const [addon] = fs.readdirSync(directory).filter((name) => name.endsWith('.node'))
  if (process.platform === 'linux') {
    const exported = execFileSync('nm', ['-D', '--defined-only', path.join(directory, addon)], { encoding: 'utf8' })
    assert.doesNotMatch(exported, / (SSL|EVP|X509|OPENSSL|CRYPTO)_/)
  }
  assert.match(native.opensslVersion(), /^OpenSSL 3\.6\./)
  assert.strictEqual(crypto.createHash('sha256').update('x').digest('hex').length, 64)
})

test('workers have their own environment, and may end with work in flight', async () => {
  const code = `
    const { Pair, bytesRead, native } = require(${JSON.stringify(require.resolve('./pair'))})
    native.setWorkDone(() => {})
    const pair = new Pair().drive()
    if (!pair.client.isOpen()) throw new Error('no handshake')
    for (let i = 0; i < 50; i++) new Pair().client.goOn()
    require('node:worker_threads').parentPort.postMessage('done')
    setInterval(() => {}, 1000)`
  for (let round = 0; round < 3; round++) {
    const worker = new Worker(code, { eval: true })
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    await worker.terminate()
  }
  assert.ok(new Pair().drive().client.isOpen())
})

test('the authority of the fixtures is the one that is trusted', () => {
  assert.ok(new crypto.X509Certificate(certificate().cert).checkIssued(new crypto.X509Certificate(ca().cert)))
})
