'use strict'

// What others had to learn the hard way: docs/security.md has a row for each, and names the tests here.

const { execFileSync, spawn } = require('node:child_process')
const { X509Certificate, constants, createPublicKey, publicEncrypt } = require('node:crypto')
const { readdirSync } = require('node:fs')
const { setFlagsFromString } = require('node:v8')
const { runInNewContext } = require('node:vm')
const net = require('node:net')
const { certificateObject } = require('../lib/certificates')
const http2 = require('../lib/http2')
const { ca, certificate, file, pfx } = require('./fixtures')
const { assert, connected, echo, inPairings, limited, nodetls, once, refused, secure, serve, serverOptions, tls, withClient, withClients } = require('./world')

const SERVERS = [nodetls, tls]
const descriptors = () => readdirSync('/proc/self/fd').length

/** How a client's attempt ends: its error, or null where it is secure; the socket is closed. */
function attempt (options) {
  return withClient(nodetls, options, (client) => new Promise((resolve) => {
    client.on('secureConnect', () => resolve(null)).on('error', resolve)
  }))
}

/** A session of a connection with these options. */
function sessionOf (options) {
  return withClient(nodetls, options, async (client) => {
    const session = once(client, 'session')
    await secure(client)
    client.resume()
    return (await session)[0]
  })
}

// ---- sessions ----

limited('a session of a lax connection does not get a strict one past any check', async () => {
  const lax = {
    rejectUnauthorized: [{ ca: [], rejectUnauthorized: false }, { ca: [] }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    'another authority': [{}, { ca: ca({ cn: 'another' }).cert }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    checkServerIdentity: [{ servername: 'other.test', checkServerIdentity: () => undefined }, { servername: 'other.test' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    'another name': [{}, { servername: 'other.test' }, 'ERR_TLS_CERT_ALTNAME_INVALID']
  }
  for (const serving of SERVERS) {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
      await serve(serving, {}, async (port) => {
        for (const [name, [first, second, code]] of Object.entries(lax)) {
          const session = await sessionOf({ port, maxVersion, ...first })
          assert.strictEqual((await attempt({ port, maxVersion, ...second, session }))?.code, code, name)
        }
      })
    }
  }
}, 30000)

inPairings('no session is told of a server that is refused', (S, C) => serve(S, {}, async (port) => {
  for (const refusing of [{ ca: [] }, { servername: 'other.test' }, { checkServerIdentity: () => new Error('no') }]) {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
      await withClient(C, { port, maxVersion, ...refusing }, async (client) => {
        client.on('session', () => assert.fail('a session of a server that was refused'))
        await new Promise((resolve) => client.on('error', () => {}).once('close', resolve))
      })
    }
  }
}))

limited('two PKCS#12 files are two identities to an agent that shares connections', () => {
  const { Agent } = require('../lib/https')
  const agent = new Agent()
  const files = ['one', 'two'].map((cn) => pfx(certificate({ cn, client: true }), 'x'))
  const names = [[files[0]], [files[1]], files, [{ buf: files[0] }], [{ buf: files[1] }]]
    .map((contents) => agent.getName({ host: 'localhost', port: 1, pfx: contents, passphrase: 'x' }))
  assert.strictEqual(new Set(names).size, names.length)
  assert.strictEqual(agent.getName({ host: 'localhost', pfx: [Buffer.from(files[0])] }), agent.getName({ host: 'localhost', pfx: [files[0]] }))
})

// ---- names ----

limited('a name with dots of another script is not taken apart for a wildcard', async () => {
  const wide = certificate({ cn: 'wide', san: 'DNS:*.test, DNS:*.b.test' })
  await serve(nodetls, wide, async (port) => {
    for (const servername of ['a\u3002c.test', 'a\uff0ec.test', 'a\uff61c.test']) {
      const error = await attempt({ port, servername, ca: ca().cert }).catch((thrown) => thrown)
      assert.ok(error instanceof Error, servername)
    }
  })
})

limited('a name in capitals finds the context that demands more', () => serve(nodetls, { requestCert: true, ca: ca().cert }, async (port, server) => {
  const others = ca({ cn: 'members' })
  server.addContext('members.test', { ...certificate({ cn: 'members.test' }), ca: others.cert })
  const stranger = certificate({ cn: 'stranger', client: true })
  for (const servername of ['members.test', 'MEMBERS.test', 'Members.TEST']) {
    const failed = once(server, 'tlsClientError')
    await withClient(nodetls, { port, servername, cert: stranger.cert, key: stranger.key }, async (client) => {
      client.on('error', () => {})
      assert.match((await failed)[0].code, /^(UNABLE_TO_(GET_ISSUER_CERT|VERIFY_LEAF)|SELF_SIGNED_CERT_IN_CHAIN)/)
    })
  }
}))

limited('a name with NUL is refused before anything is sent', () => {
  for (const name of ['a.test\0.evil.test', '\0', 'localhost\0']) {
    for (const option of ['servername', 'host']) {
      assert.throws(() => nodetls.connect({ port: 1, [option]: name }), { code: 'ERR_INVALID_ARG_VALUE' })
    }
  }
})

inPairings('a URI is no name of a server, nor is a common name beside a DNS name', async (S, C) => {
  for (const [cn, san] of [['x.test', 'URI:https://localhost/'], ['x.test', 'URI:localhost'], ['localhost', 'DNS:z.test']]) {
    const { client } = await refused(S, C, { server: certificate({ cn, san }) })
    assert.strictEqual(client.code, 'ERR_TLS_CERT_ALTNAME_INVALID')
  }
})

inPairings('only false lets a server in that is not trusted, and not undefined', async (S, C) => {
  for (const rejectUnauthorized of [undefined, true, null, 0, '']) {
    const { client } = await refused(S, C, { client: { ca: [], rejectUnauthorized } })
    assert.strictEqual(client.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
  }
})

// ---- callbacks ----

const THROWING = {
  SNICallback: {},
  ALPNCallback: { client: { ALPNProtocols: ['a'] } },
  onClientHello: {},
  newSession: {},
  OCSPRequest: { client: { requestOCSP: true } },
  pskCallback: { server: { ciphers: 'PSK', maxVersion: 'TLSv1.2' }, client: { ciphers: 'PSK', maxVersion: 'TLSv1.2', checkServerIdentity: () => undefined, pskCallback: () => ({ psk: Buffer.alloc(16), identity: 'x' }) } }
}

limited('callbacks that throw again and again leave the process and no descriptor behind', async () => {
  for (const [name, { server = {}, client = {} }] of Object.entries(THROWING)) {
    let thrown = 0
    const throwing = () => { thrown++; throw new Error('a mistake') }
    await serve(nodetls, { [name]: throwing, ...server }, async (port, listening) => {
      let told = 0
      listening.on('tlsClientError', () => { told++ })
      const visit = () => attempt({ port, ...client }).catch(() => {})
      await visit()
      await new Promise(setImmediate)
      const before = descriptors()
      for (let left = 200; left > 0; left -= 10) await Promise.all(Array.from({ length: 10 }, visit))
      while (told < thrown) await once(listening, 'tlsClientError')
      while (await count(listening) > 0) await new Promise(setImmediate)
      assert.ok(thrown >= 200, name)
      assert.ok(descriptors() <= before, `${name}: ${descriptors() - before} descriptors more`)
    })
  }
}, 60000)

const count = (server) => new Promise((resolve, reject) => server.getConnections((error, number) => error ? reject(error) : resolve(number)))

limited('clients that leave, at any time, do not end the process of a server of HTTP/2', async () => {
  const server = http2.createSecureServer(serverOptions())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  const hello = await new Promise((resolve) => {
    const catcher = net.createServer((socket) => socket.once('data', (data) => { resolve(data); socket.destroy(); catcher.close() }))
    catcher.listen(0, '127.0.0.1', () => tls.connect({ port: catcher.address().port, host: '127.0.0.1', ALPNProtocols: ['h2'] }).on('error', () => {}))
  })
  for (const length of [0, 1, 100, hello.length]) {
    const raw = net.connect(port, '127.0.0.1')
    await once(raw, 'connect')
    if (length > 0) raw.write(hello.subarray(0, length))
    if (length === hello.length) await once(raw, 'data')
    raw.resetAndDestroy()
    await once(raw, 'close')
  }
  const client = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: ca().cert, ALPNProtocols: ['h2'] })
  await secure(client)
  const below = client._parent ?? client
  client.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  below.destroy()
  while (await count(server) > 0) await new Promise(setImmediate)
  server.close()
})

// ---- certificates ----

limited('asking for the chain again and again keeps no memory', () => connected(nodetls, nodetls, {}, async (client) => {
  // What Node.js frees for addons it frees between the rounds of the event loop.
  const ask = async (times) => {
    for (let asked = 0; asked < times; asked++) {
      assert.ok(client.getPeerCertificate(true).issuerCertificate)
      if (asked % 100 === 0) await new Promise(setImmediate)
    }
  }
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  const used = () => { collect(); return process.memoryUsage().rss }
  await ask(2000)
  // A heap that grows for other reasons is level before long; what is kept of each answer grows in every round.
  const rounds = []
  for (let before = used(); rounds.length < 6 && !rounds.some((grown) => grown < 2000 * 512); before += rounds.at(-1)) {
    await ask(2000)
    rounds.push(used() - before)
  }
  assert.ok(rounds.some((grown) => grown < 2000 * 512), `${rounds} bytes more`)
}), 60000)

/** A generator of numbers, always the same. */
function random (seed) {
  let state = seed
  return (bound) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % bound
  }
}

limited('whatever a certificate says, it is an object or an error', () => {
  const next = random(7)
  const san = 'DNS:a.test,URI:http://x,email:a@b.c,IP:1.2.3.4,IP:::1,RID:1.2.3.4,dirName:directory'
  const extensions = ['authorityInfoAccess=OCSP;URI:http://o.test/', '[directory]', 'CN=x']
  const made = [certificate({ key: 'rsa' }), certificate({ san, extensions: [extensions[0], `subjectAltName=${san}`, ...extensions.slice(1)].filter((line) => !line.startsWith('subjectAltName')) })]
  for (const { cert } of made) {
    const { raw } = new X509Certificate(cert)
    for (let round = 0; round < 1000; round++) {
      const bytes = Buffer.from(raw)
      for (let left = 1 + next(3); left > 0; left--) bytes[next(bytes.length)] = next(256)
      let read
      try {
        read = certificateObject(bytes)
      } catch (error) {
        assert.ok(error instanceof Error)
        continue
      }
      assert.strictEqual(Object.getPrototypeOf(read.subject ?? null) ?? null, null)
    }
  }
})

limited('a certificate whose key is broken is an object or an error', () => {
  for (const key of ['rsa', 'ec']) {
    const { raw } = new X509Certificate(certificate({ key }).cert)
    const spki = new X509Certificate(raw).publicKey.export({ type: 'spki', format: 'der' })
    const at = raw.indexOf(spki)
    for (let position = 0; position < Math.min(spki.length, 60); position++) {
      const broken = Buffer.from(raw)
      broken[at + position] ^= 0xff
      try {
        assert.strictEqual(certificateObject(broken).subject.CN, 'localhost')
      } catch (error) {
        assert.ok(error instanceof Error)
      }
    }
  }
})

// ---- OpenSSL below ----

withClients('a failure that is over is no failure of the next connection', async (C) => {
  for (const options of [{ cert: 'no certificate' }, { key: 'no key' }, { ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' }, { pfx: Buffer.from('x') }, { crl: 'x' }]) {
    try {
      nodetls.createSecureContext(options)
    } catch (error) {
      assert.ok(error instanceof Error)
    }
    await connected(nodetls, C, {}, async (client, server) => {
      server.pipe(server)
      assert.strictEqual(await echo(client, 'good'), 'good')
    })
  }
})

limited('no suite of the defaults has a block of 64 bits, or no encryption', () => {
  const bad = /DES|RC2|RC4|IDEA|NULL|EXP|MD5|anon/i
  for (const list of [nodetls.DEFAULT_CIPHERS]) assert.deepStrictEqual(list.split(':').filter((name) => !name.startsWith('!') && bad.test(name)), [])
  const { cert, key } = certificate({ key: 'rsa' })
  return serve(nodetls, { cert, key }, async (port) => {
    for (const ciphers of ['DES-CBC3-SHA:@SECLEVEL=0', 'ECDHE-RSA-DES-CBC3-SHA:@SECLEVEL=0', 'aNULL:eNULL:@SECLEVEL=0']) {
      let error
      try {
        error = await withClient(tls, { port, ciphers, maxVersion: 'TLSv1.2' }, (client) => new Promise((resolve) => client.on('secureConnect', () => resolve(null)).on('error', resolve)))
      } catch (thrown) {
        error = thrown
      }
      assert.ok(error instanceof Error, ciphers)
    }
  })
})

withClients('what is written may be forgotten at once, and the socket destroyed', async (C) => {
  for (const length of [1, 16384, 1 << 20]) {
    await connected(nodetls, C, {}, async (client, server) => {
      for (const socket of [client, server]) socket.on('error', () => {})
      for (const socket of [server, client]) {
        socket.write(Buffer.alloc(length, 'x'))
        socket.destroy()
      }
      await Promise.all([client, server].map((socket) => socket.closed || once(socket, 'close')))
    })
  }
})

limited('a server that is refused in a renegotiation of its own is an error, and nothing that is thrown', async () => {
  for (const refuse of [() => new Error('no more'), () => { throw new Error('no more') }]) {
    let asked = 0
    const checkServerIdentity = () => asked++ === 0 ? undefined : refuse()
    await connected(nodetls, nodetls, { server: { maxVersion: 'TLSv1.2' }, client: { checkServerIdentity } }, async (client, server) => {
      const failed = once(client, 'error')
      client.resume()
      server.resume().renegotiate({ requestCert: true }, () => {})
      assert.strictEqual((await failed)[0].message, 'no more')
      assert.deepStrictEqual([asked, client.destroyed], [2, true])
    })
  }
})

limited('a renegotiation that a client begins and does not go on with has the time of a handshake', async () => {
  const raw = new net.Socket()
  const server = { maxVersion: 'TLSv1.2', handshakeTimeout: 300 }
  await serve(nodetls, server, async (port, listening) => {
    const accepted = once(listening, 'secureConnection')
    await withClient(nodetls, { socket: raw.connect(port, '127.0.0.1') }, async (client) => {
      await secure(client)
      const [socket] = await accepted
      assert.strictEqual(await echo(client, 'before'), 'before')
      const failed = once(socket, 'error')
      client.resume().on('error', () => {})
      // The server gets the hello; what should follow never comes.
      const { _write: send } = raw
      let sent = 0
      raw._write = (chunk, encoding, done) => sent++ === 0 ? send.call(raw, chunk, encoding, done) : done()
      client.renegotiate({}, () => {})
      const [error] = await failed
      assert.strictEqual(error.code, 'ERR_TLS_HANDSHAKE_TIMEOUT')
      assert.ok(sent > 1, 'the client has answered, in vain')
    })
  })
})

limited('data that follows a failed handshake is never delivered', () => serve(nodetls, {}, async (port, server) => {
  server.on('secureConnection', () => assert.fail('no handshake was done'))
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from([22, 3, 1, 0xff, 0xff, 1])]) {
    const failed = once(server, 'tlsClientError')
    const raw = net.connect(port, '127.0.0.1')
    raw.on('error', () => {}).resume()
    raw.write(bytes)
    const [, socket] = await failed
    socket.on('data', () => assert.fail('data of nobody'))
    raw.write(Buffer.concat([Buffer.from([23, 3, 3, 0, 5]), Buffer.from('hello')]))
    if (!raw.closed) await once(raw, 'close')
    assert.ok(socket.destroyed)
  }
}))

// ---- RSA key exchange ----

const record = (type, body) => Buffer.concat([Buffer.from([type, 3, 3, body.length >> 8, body.length & 0xff]), body])

/** A ClientHello of TLS 1.2 for TLS_RSA_WITH_AES_128_GCM_SHA256 alone. */
const RSA_HELLO = record(22, Buffer.concat([Buffer.from([1, 0, 0, 53, 3, 3]), Buffer.alloc(32, 7),
  Buffer.from([0, 0, 4, 0, 0x9c, 0, 0xff, 1, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 1])]))

/** What the server answers to this block in the place of an encrypted premaster secret: the alert's description. */
async function answerTo (port, publicKey, block) {
  const raw = net.connect(port, '127.0.0.1')
  raw.write(RSA_HELLO)
  const received = []
  // ServerHelloDone ends the server's flight.
  while (!Buffer.concat(received).includes(Buffer.from([14, 0, 0, 0]))) received.push((await once(raw, 'data'))[0])
  const encrypted = publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, block)
  const exchange = Buffer.concat([Buffer.from([16, 0, 1, 2, 1, 0]), encrypted])
  raw.write(Buffer.concat([record(22, exchange), record(20, Buffer.from([1])), record(22, Buffer.alloc(40, 9))]))
  let answer = Buffer.alloc(0)
  raw.on('data', (data) => { answer = Buffer.concat([answer, data]) }).on('error', () => {})
  await once(raw, 'close')
  return answer.toString('hex')
}

limited('an RSA key exchange tells nothing of how the padding is wrong', async () => {
  const { cert, key } = certificate({ key: 'rsa' })
  const publicKey = createPublicKey(cert)
  const premaster = Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(46, 5)])
  const padded = (start, secret, separator = 0) => Buffer.concat([Buffer.from(start), Buffer.alloc(256 - start.length - 1 - secret.length, 1), Buffer.from([separator]), secret])
  const blocks = {
    'well formed': padded([0, 2], premaster),
    'another version': padded([0, 2], Buffer.concat([Buffer.from([2, 2]), premaster.subarray(2)])),
    'another first byte': padded([0, 3], premaster),
    'block type 1': padded([0, 1], premaster),
    'no separator': padded([0, 2], premaster, 1),
    'a short secret': padded([0, 2], premaster.subarray(1)),
    'a long secret': padded([0, 2], Buffer.concat([premaster, Buffer.from([1])])),
    'no secret': padded([0, 2], Buffer.alloc(0)),
    zeros: Buffer.alloc(256)
  }
  await serve(nodetls, { cert, key }, async (port) => {
    for (const [name, block] of Object.entries(blocks)) {
      // bad_record_mac, as for a Finished message that is wrong.
      assert.strictEqual(await answerTo(port, publicKey, block), '15030300020214', name)
    }
  })
}, 20000)

// ---- curves ----

const der = (tag, ...parts) => {
  const content = Buffer.concat(parts)
  const length = content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}
const integer = (...bytes) => der(2, Buffer.from(bytes))

/** A certificate on a curve of its own: y² = x³ + ax + b over a "prime" that is none, its generator compressed. */
function curious (x, sign) {
  const oid = (hex) => der(6, Buffer.from(hex, 'hex'))
  const field = der(0x30, oid('2a8648ce3d0101'), integer(0x02, 0xb9))
  const curve = der(0x30, der(4, Buffer.from([0x02, 0xb8])), der(4, Buffer.from([0x00, 0x17])))
  const generator = der(4, Buffer.from([2 + sign, x >> 8, x & 0xff]))
  const parameters = der(0x30, integer(1), field, curve, generator, integer(7), integer(1))
  const key = der(0x30, der(0x30, oid('2a8648ce3d0201'), parameters), der(3, Buffer.from([0, 2 + sign, x >> 8, x & 0xff])))
  const algorithm = der(0x30, oid('2a8648ce3d040302'))
  const name = der(0x30, der(0x31, der(0x30, oid('550403'), der(12, Buffer.from('curious')))))
  const validity = der(0x30, der(23, Buffer.from('250101000000Z')), der(23, Buffer.from('490101000000Z')))
  const body = der(0x30, der(0xa0, integer(2)), integer(1), algorithm, name, validity, name, key)
  return der(0x30, body, algorithm, der(3, Buffer.from([0, 0x30, 6, 2, 1, 1, 2, 1, 1])))
}

limited('a certificate on a curve without a prime ends no search in a loop', () => {
  for (let x = 0; x < 697; x += 4) {
    const bytes = curious(x, x & 1)
    const pem = `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64')}\n-----END CERTIFICATE-----\n`
    for (const use of [() => certificateObject(bytes), () => nodetls.createSecureContext({ ca: pem }), () => nodetls.createSecureContext({ cert: pem })]) {
      try {
        use()
      } catch (error) {
        assert.ok(error instanceof Error)
      }
    }
  }
  assert.strictEqual(certificateObject(curious(1, 0)).subject.CN, 'curious')
})

// ---- files ----

limited('no configuration file of OpenSSL has a say', () => {
  const limits = 'openssl_conf = all\nnodejs_conf = nothing\n[nothing]\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = limits\n[limits]\nMaxProtocol = TLSv1.2\nCipherString = NULL\n'
  const code = `
    const tls = require(${JSON.stringify(require.resolve('..'))})
    const server = tls.createServer(JSON.parse(process.env.TEST_PEM), (socket) => socket.end()).listen(0, '127.0.0.1', () => {
      const client = tls.connect({ port: server.address().port, host: '127.0.0.1', rejectUnauthorized: false })
      client.on('secureConnect', () => console.log(client.getProtocol())).on('close', () => server.close()).resume()
    })`
  const { cert, key } = certificate()
  const env = { ...process.env, OPENSSL_CONF: file('limits.cnf', limits), TEST_PEM: JSON.stringify({ cert: String(cert), key: String(key) }) }
  assert.strictEqual(execFileSync(process.execPath, ['-e', code], { encoding: 'utf8', env }).trim(), 'TLSv1.3')
})

limited('what a failed connection held is freed at once, and not when JavaScript collects its garbage', async () => {
  const code = `
    const server = require(${JSON.stringify(require.resolve('..'))}).createServer(JSON.parse(process.env.TEST_PEM)).listen(0, '127.0.0.1', () => process.send(server.address().port))
    process.on('message', () => process.send(process.memoryUsage().rss))
    process.on('disconnect', () => process.exit())`
  const { cert, key } = certificate()
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, TEST_PEM: JSON.stringify({ cert: String(cert), key: String(key) }) } })
  const [port] = await once(child, 'message')
  const visit = () => new Promise((resolve) => net.connect(port, '127.0.0.1').on('error', () => {}).on('close', resolve).resume().write('GET / HTTP/1.1\r\n\r\n'))
  const memory = async (visits) => {
    for (let left = visits; left > 0; left -= 20) await Promise.all(Array.from({ length: 20 }, visit))
    child.send('tell')
    return (await once(child, 'message'))[0]
  }
  const grown = -await memory(1000) + await memory(2500)
  child.disconnect()
  // OpenSSL's part alone is 20 KiB each; JavaScript's own garbage is some.
  assert.ok(grown < 2500 * 14 * 1024, `${grown} bytes more`)
}, 60000)
