'use strict'

// Part B and G of the manual: tls.Server, its events, methods and options.

const { constants, randomBytes } = require('node:crypto')
const net = require('node:net')
const { ca, certificate, ocspResponse } = require('./fixtures')
const { assert, connected, echo, inPairings, limited, nodetls, once, refused, secure, serve, serverOptions, withClient, withClients } = require('./world')

/** Sessions of TLS 1.2 without tickets are the ones that a server stores. */
const STORED = { maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET }

limited('B01 B14 B20 a server is a net.Server that listens and tells its address', async () => {
  const server = nodetls.createServer(serverOptions())
  assert.ok(server instanceof nodetls.Server && server instanceof net.Server)
  assert.ok(nodetls.Server(serverOptions()) instanceof nodetls.Server, 'without new')
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  assert.deepStrictEqual({ ...server.address(), port: 0 }, { address: '127.0.0.1', family: 'IPv4', port: 0 })
  server.close()
  await once(server, 'close')
})

inPairings('B02 C14 key material is told, in the same words at both ends', (S, C) => serve(S, {}, async (port, server) => {
  const lines = { server: [], client: [] }
  server.on('keylog', (line, socket) => { assert.ok(socket.encrypted); lines.server.push(String(line)) })
  await withClient(C, { port }, async (client) => {
    client.on('keylog', (line) => lines.client.push(String(line)))
    await secure(client)
    await echo(client, 'x')
  })
  assert.ok(lines.client.length >= 4 && lines.client.every((line) => /^[A-Z_0-9]+ [0-9a-f]{64} [0-9a-f]+\n$/.test(line)))
  assert.deepStrictEqual([...lines.server].sort(), [...lines.client].sort())
}))

withClients('B04 nothing goes to the client before newSession is answered', (C) => serve(nodetls, STORED, async (port, server) => {
  let answer
  server.on('newSession', (id, data, done) => { answer = done })
  await withClient(C, { port }, async (client) => {
    let isSecure = false
    client.on('secureConnect', () => { isSecure = true })
    while (answer === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.strictEqual(isSecure, false)
    answer()
    await secure(client)
    assert.strictEqual(await echo(client, 'now'), 'now')
  })
}))

inPairings('B05 C12 C15 E18 a stapled response is asked for and told', (S, C) => {
  const response = ocspResponse(certificate())
  return serve(S, { ca: ca().cert }, async (port, server) => {
    const asked = once(server, 'OCSPRequest')
    server.on('OCSPRequest', (cert, issuer, done) => setImmediate(done, null, response))
    await withClient(C, { port, requestOCSP: true }, async (client) => {
      const told = once(client, 'OCSPResponse')
      await secure(client)
      assert.deepStrictEqual((await told)[0], response)
    })
    const [cert, issuer] = await asked
    assert.ok(Buffer.isBuffer(cert) && Buffer.isBuffer(issuer))
  })
})

withClients('B06 B08 a callback that is given an error ends the connection and nothing else', async (C) => {
  for (const [event, options] of [['OCSPRequest', { requestOCSP: true }], ['resumeSession', { maxVersion: 'TLSv1.2' }]]) {
    await serve(nodetls, STORED, async (port, server) => {
      server.on(event, (...words) => words.at(-1)(new Error('no')))
      const failed = once(server, 'tlsClientError')
      await withClient(C, { port, ...options }, async (client) => {
        if (event === 'resumeSession') {
          await secure(client)
          const session = client.getSession()
          await withClient(C, { port, ...options, session }, (again) => once(again, 'error').catch(() => {}))
          return
        }
        client.on('error', () => {})
        const [error] = await failed
        assert.strictEqual(error.message, 'no')
      })
    })
  }
})

inPairings('B09 G15 secureConnection comes with the socket, and by the listener given', (S, C) => connected(S, C, {}, async (client, server) => {
  assert.ok(server instanceof S.TLSSocket)
  assert.strictEqual(server.encrypted, true)
}))

withClients('B10 tlsClientError comes for handshakes that fail, and the process goes on', async (C) => {
  const { server, client } = await refused(nodetls, C, { client: { minVersion: 'TLSv1.3' }, server: { maxVersion: 'TLSv1.2' } })
  assert.strictEqual(server.code, 'ERR_SSL_UNSUPPORTED_PROTOCOL')
  assert.strictEqual(client.code, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
})

limited('B10 a client that leaves in the middle is a tlsClientError too', () => serve(nodetls, {}, async (port, server) => {
  const failed = once(server, 'tlsClientError')
  const raw = net.connect(port, '127.0.0.1')
  await once(raw, 'connect')
  raw.destroy()
  const [error, socket] = await failed
  assert.strictEqual(error.code, 'ECONNRESET')
  assert.ok(socket.destroyed || socket.encrypted)
}))

inPairings('B11 B12 the server knows protocol and name, or false', async (S, C) => {
  await connected(S, C, {}, async (client, server) => {
    assert.strictEqual(server.alpnProtocol, false)
    assert.strictEqual(server.servername, 'localhost')
  })
})

withClients('B13 contexts by name: without regard to case, with wildcards, the later one wins', (C) => serve(nodetls, {}, async (port, server) => {
  server.addContext('a.test', certificate({ cn: 'first.test', san: 'DNS:a.test' }))
  server.addContext('A.test', certificate({ cn: 'second.test', san: 'DNS:a.test' }))
  server.addContext('*.wild.test', certificate({ cn: 'wild.test', san: 'DNS:*.wild.test' }))
  for (const [servername, CN] of [['a.test', 'second.test'], ['A.TEST', 'second.test'], ['x.wild.test', 'wild.test'], ['localhost', 'localhost']]) {
    await withClient(C, { port, servername }, async (client) => {
      await secure(client)
      assert.strictEqual(client.getPeerCertificate().subject.CN, CN)
    })
  }
  assert.throws(() => server.addContext('', {}), { code: 'ERR_TLS_REQUIRED_SERVER_NAME' })
}))

limited('B15 B16 B17 close waits for the connections, which are counted', async () => {
  const server = nodetls.createServer(serverOptions(), (socket) => socket.resume())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = nodetls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: ca().cert })
  await once(client, 'secureConnect')
  const count = await new Promise((resolve, reject) => server.getConnections((error, n) => error ? reject(error) : resolve(n)))
  assert.strictEqual(count, 1)
  let closed = false
  server.close(() => { closed = true })
  await new Promise((resolve) => setTimeout(resolve, 30))
  assert.strictEqual(closed, false)
  client.end()
  await once(server, 'close')
  assert.strictEqual(closed, true)
})

withClients('B21 another context counts for future connections', (C) => serve(nodetls, {}, async (port, server) => {
  await withClient(C, { port }, async (before) => {
    await secure(before)
    server.setSecureContext(certificate({ cn: 'new.test', san: 'DNS:localhost' }))
    assert.strictEqual(await echo(before, 'still'), 'still')
    await withClient(C, { port }, async (client) => {
      await secure(client)
      assert.strictEqual(client.getPeerCertificate().subject.CN, 'new.test')
    })
  })
}))

// ---- options ----

inPairings('G01 C09 without a common protocol both sides hear so', async (S, C) => {
  const { client, server } = await refused(S, C, { server: { ALPNProtocols: ['a'] }, client: { ALPNProtocols: ['b'] } })
  assert.strictEqual(client.code, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL')
  assert.strictEqual(server.code, 'ERR_SSL_NO_APPLICATION_PROTOCOL')
})

limited('G04 a handshake has its time, and the socket is closed by us', () => serve(nodetls, { handshakeTimeout: 50 }, async (port, server) => {
  const failed = once(server, 'tlsClientError')
  const raw = net.connect(port, '127.0.0.1')
  raw.on('error', () => {})
  const [error] = await failed
  assert.strictEqual(error.code, 'ERR_TLS_HANDSHAKE_TIMEOUT')
  await once(raw, 'close')
}))

inPairings('G05 G06 C07 C08 clients are asked for certificates', async (S, C) => {
  const bob = certificate({ cn: 'bob', client: true })
  const asks = { requestCert: true, ca: ca().cert }
  await connected(S, C, { server: asks, client: bob }, async (client, server) => {
    assert.strictEqual(server.authorized, true)
    assert.strictEqual(server.getPeerCertificate().subject.CN, 'bob')
  })
  const { server } = await refused(S, C, { server: { ...asks, maxVersion: 'TLSv1.2' } })
  assert.strictEqual(server.code, 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE')
  await connected(S, C, { server: { ...asks, rejectUnauthorized: false } }, async (client, server) => {
    assert.strictEqual(server.authorized, false)
    assert.strictEqual(server.authorizationError, 'UNABLE_TO_GET_ISSUER_CERT')
    assert.deepStrictEqual(server.getPeerCertificate(), {})
  })
})

inPairings('G08 G09 C10 the context may be chosen, at once or later', async (S, C) => {
  const other = S.createSecureContext(certificate({ cn: 'chosen.test', san: 'DNS:localhost' }))
  for (const answer of [(done) => done(null, other), (done) => setTimeout(done, 20, null, other)]) {
    await connected(S, C, { server: { SNICallback: (name, done) => { assert.strictEqual(name, 'localhost'); answer(done) } } }, async (client) => {
      assert.strictEqual(client.getPeerCertificate().subject.CN, 'chosen.test')
    })
  }
})

withClients('G08 every callback may return a promise instead', async (C) => {
  const other = nodetls.createSecureContext(certificate({ cn: 'chosen.test', san: 'DNS:localhost' }))
  const seen = []
  const later = (value, name) => async () => { seen.push(name); await new Promise(setImmediate); return value }
  await connected(nodetls, C, {
    server: {
      SNICallback: later(other, 'sni'),
      ALPNCallback: later('b', 'alpn'),
      onClientHello: later(true, 'hello'),
      OCSPRequest: later(null, 'ocsp'),
      newSession: later(undefined, 'session')
    },
    client: { ALPNProtocols: ['a', 'b'], requestOCSP: true }
  }, async (client) => {
    assert.strictEqual(client.alpnProtocol, 'b')
    assert.strictEqual(client.getPeerCertificate().subject.CN, 'chosen.test')
  })
  assert.deepStrictEqual(seen.slice(0, 4), ['hello', 'sni', 'alpn', 'ocsp'])
})

withClients('exceptions and rejections in callbacks reach tlsClientError, never the process', async (C) => {
  const thrown = new Error('a mistake')
  const throws = () => { throw thrown }
  const rejects = async () => { throw thrown }
  for (const option of ['SNICallback', 'ALPNCallback', 'onClientHello', 'OCSPRequest', 'newSession']) {
    for (const callback of [throws, rejects]) {
      const { server } = await refused(nodetls, C, { server: { [option]: callback }, client: { ALPNProtocols: ['a'], requestOCSP: true } })
      assert.strictEqual(server, thrown, option)
    }
  }
})

limited('a callback that is called twice ends its connection', async () => {
  const { server } = await refused(nodetls, nodetls, { server: { SNICallback: (name, done) => { done(null, null); done(null, null) } } })
  assert.strictEqual(server.code, 'ERR_MULTIPLE_CALLBACK')
})

withClients('ALPNCallback chooses among what is offered, or refuses', async (C) => {
  await connected(nodetls, C, {
    server: { ALPNCallback: ({ servername, protocols }) => { assert.deepStrictEqual([servername, protocols], ['localhost', ['a', 'b']]); return 'b' } },
    client: { ALPNProtocols: ['a', 'b'] }
  }, async (client) => assert.strictEqual(client.alpnProtocol, 'b'))
  const names = []
  const server = { ALPNCallback: ({ servername }) => { names.push(servername) } }
  await refused(nodetls, C, { server, client: { ALPNProtocols: ['a'], servername: '' } })
  assert.deepStrictEqual(names, [false])
  const refusing = await refused(nodetls, C, { server: { ALPNCallback: () => undefined }, client: { ALPNProtocols: ['a'] } })
  assert.match(refusing.server.message, /SSL routines:tls_handle_alpn:no application protocol/)
  assert.strictEqual(refusing.client.code, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL')
  const wrong = await refused(nodetls, C, { server: { ALPNCallback: () => 'c' }, client: { ALPNProtocols: ['a'] } })
  assert.strictEqual(wrong.server.code, 'ERR_TLS_ALPN_CALLBACK_INVALID_RESULT')
  assert.throws(() => nodetls.createServer({ ALPNCallback: () => 'a', ALPNProtocols: ['a'] }), { code: 'ERR_TLS_ALPN_CALLBACK_WITH_PROTOCOLS' })
})

withClients('the certificate may be chosen with the protocol: setKeyCert in ALPNCallback', (C) => connected(nodetls, C, {
  server: {
    ALPNCallback ({ protocols }) {
      this.setKeyCert(certificate({ cn: 'chosen.test', san: 'DNS:localhost' }))
      return protocols[0]
    }
  },
  client: { ALPNProtocols: ['a'] }
}, async (client, server) => {
  assert.strictEqual(client.getPeerCertificate().subject.CN, 'chosen.test')
  // Too late, which is no error in Node.js either.
  server.setKeyCert(certificate())
  assert.strictEqual(server.getCertificate().subject.CN, 'chosen.test')
}))

withClients('G14 options of net.createServer work: pauseOnConnect', (C) => serve(nodetls, { pauseOnConnect: true }, async (port, server) => {
  const arrived = once(server, 'secureConnection')
  await withClient(C, { port }, async (client) => {
    await secure(client)
    client.write('held')
    const [socket] = await arrived
    assert.ok(socket.isPaused())
    const data = once(socket, 'data')
    socket.resume()
    assert.strictEqual(String((await data)[0]), 'held')
  })
}, () => {}))

limited('connections as they come: for await', async () => {
  const server = nodetls.createServer(serverOptions())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = nodetls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: ca().cert })
  for await (const socket of server) {
    socket.end('welcome')
    break
  }
  assert.strictEqual(String((await once(client, 'data'))[0]), 'welcome')
  client.destroy()
  server.close()
})

withClients('a private key that is elsewhere signs', (C) => {
  const { cert, key } = certificate()
  const { sign } = require('node:crypto')
  return connected(nodetls, C, {
    server: { key: undefined, cert, externalKey: true, sign: async ({ hash, message }) => sign(hash, message, key) }
  }, async (client) => assert.ok(client.authorized))
})

limited('a connection over any stream is served: emit("connection", duplex)', async () => {
  const { Duplex } = require('node:stream')
  const server = nodetls.createServer(serverOptions(), (socket) => socket.pipe(socket))
  const [one, two] = [{}, {}].map(() => new Duplex({ read () {}, write (chunk, encoding, done) { this.other.push(chunk); done() }, final (done) { this.other.push(null); done() } }))
  one.other = two
  two.other = one
  server.emit('connection', one)
  const client = nodetls.connect({ socket: two, servername: 'localhost', ca: ca().cert })
  await once(client, 'secureConnect')
  assert.strictEqual(await echo(client, 'in memory'), 'in memory')
  client.destroy()
})

limited('resumption over a fleet: keys change for future connections only', () => serve(nodetls, {}, async (port, server) => {
  const keys = randomBytes(48)
  server.setTicketKeys(keys)
  assert.deepStrictEqual(server.getTicketKeys(), keys)
}))
