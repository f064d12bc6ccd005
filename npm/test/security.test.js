'use strict'

// What others had to learn the hard way: docs/security.md has a row for each, and names the tests here.

const { X509Certificate } = require('node:crypto')
const { readdirSync } = require('node:fs')
const net = require('node:net')
const { certificateObject } = require('../lib/certificates')
const http2 = require('../lib/http2')
const { ca, certificate, pfx } = require('./fixtures')
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
      assert.match((await failed)[0].code, /UNABLE_TO_(GET_ISSUER_CERT|VERIFY_LEAF)/)
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
  await ask(4000)
  const before = process.memoryUsage().rss
  await ask(16000)
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 16000 * 512, `${grown} bytes more`)
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
    for (let round = 0; round < 4000; round++) {
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
