'use strict'

// Parts C and E of the manual: how a tls.TLSSocket is made, its events, and tls.connect with its options.

const net = require('node:net')
const fs = require('node:fs')
const path = require('node:path')
const { Duplex } = require('node:stream')
const { ca, certificate, directory, openssl } = require('./fixtures')
const {
  assert, connected, echo, inPairings, limited, nodetls, once, refused, secure, serve, serverOptions, tls, withClient, withClients
} = require('./world')

/** Two streams of which each reads what the other writes. */
function pair () {
  const ends = [0, 1].map((index) => new Duplex({
    read () {},
    write (chunk, encoding, done) { ends[1 - index].push(chunk); done() },
    final (done) { ends[1 - index].push(null); done() }
  }))
  return ends
}

/** A connected net.Socket and the one that was accepted for it. */
async function sockets () {
  const server = net.createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const near = net.connect(server.address().port, '127.0.0.1')
  const [far] = await once(server, 'connection')
  server.close()
  return [near, far]
}

/** `localhost` for the lookups of these tests. */
const target = { servername: 'localhost', ca: ca().cert }

inPairings('C01 C02 C05 C13 a socket is wrapped, as client and as server', async (S, C) => {
  const [near, far] = await sockets()
  const server = new S.TLSSocket(far, { isServer: true, secureContext: S.createSecureContext(serverOptions()) })
  const client = new C.TLSSocket(near, { isServer: false, secureContext: C.createSecureContext({ ca: ca().cert }) })
  // The handshake begins by itself; Node.js's client begins with its first read or write.
  client.write('x')
  await once(client, 'secure')
  assert.strictEqual(String((await once(server, 'data'))[0]), 'x')
  server.end('y')
  assert.strictEqual(String((await once(client, 'data'))[0]), 'y')
  client.destroy()
})

inPairings('C03 any stream is wrapped', async (S, C) => {
  const [near, far] = pair()
  const server = new S.TLSSocket(far, { isServer: true, secureContext: S.createSecureContext(serverOptions()) })
  const client = new C.TLSSocket(near, { secureContext: C.createSecureContext({ ca: ca().cert }) })
  server.pipe(server)
  assert.strictEqual(await echo(client, 'in memory'), 'in memory')
  client.destroy()
})

limited('C06 a socket of a server asks that server', async () => {
  const server = nodetls.createServer(serverOptions())
  const [near, far] = pair()
  const asked = once(server, 'OCSPRequest')
  server.on('OCSPRequest', (certificate, issuer, done) => done(null, null))
  const socket = new nodetls.TLSSocket(far, { isServer: true, server, secureContext: server._sharedCreds })
  const client = nodetls.connect({ socket: near, requestOCSP: true, ...target })
  await secure(client)
  await asked
  assert.strictEqual(socket.server, server)
  client.destroy()
})

inPairings('C11 C16 C17 E15 sessions come as events, and are used by the next connection', (S, C) => serve(S, {}, async (port) => {
  const sessions = []
  await withClient(C, { port }, async (client) => {
    const order = []
    client.on('secureConnect', () => order.push('secureConnect'))
    client.on('session', (session) => {
      order.push('session')
      sessions.push(session)
    })
    await secure(client)
    await echo(client, 'x')
    assert.deepStrictEqual(order, ['secureConnect', 'session', 'session'])
  })
  assert.ok(Buffer.isBuffer(sessions[1]) && !sessions[0].equals(sessions[1]))
  await withClient(C, { port, session: sessions[1] }, async (client) => {
    await secure(client)
    assert.ok(client.isSessionReused())
  })
}))

inPairings('E02 E03 E04 E05 E06 every form of connect is understood', async (S, C) => {
  await serve(S, {}, async (port) => {
    const forms = [
      (done) => C.connect({ port, host: '127.0.0.1', ...target }, done),
      (done) => C.connect(port, '127.0.0.1', target, done),
      (done) => C.connect(port, { host: '127.0.0.1', ...target }, done),
      (done) => C.connect({ port: String(port), host: 'localhost', ca: ca().cert }, done)
    ]
    for (const form of forms) {
      let client
      await new Promise((resolve, reject) => { client = form(resolve).on('error', reject) })
      assert.strictEqual(client.remotePort, port)
      client.destroy()
    }
  })
  assert.throws(() => C.connect({}), { code: 'ERR_MISSING_ARGS' })
})

inPairings('E03 E07 a path is a socket of the file system', async (S, C) => {
  const place = path.join(directory, `socket-${process.pid}`)
  const server = S.createServer(serverOptions(), (socket) => socket.end('by path'))
  server.listen(place)
  await once(server, 'listening')
  for (const form of [() => C.connect(place, target), () => C.connect({ path: place, ...target })]) {
    const client = form()
    assert.strictEqual(String((await once(client, 'data'))[0]), 'by path')
    assert.strictEqual(client.remoteAddress, undefined)
    client.destroy()
  }
  server.close()
  assert.ok(!fs.existsSync(place) || fs.statSync(place).isSocket())
})

inPairings('E08 a connection may run over another socket, one that connects later, or a TLS connection', async (S, C) => {
  await serve(S, {}, async (port) => {
    const now = net.connect(port, '127.0.0.1')
    await once(now, 'connect')
    const later = new net.Socket()
    for (const socket of [now, later]) {
      await withClient(C, { socket, host: undefined }, async (client) => {
        if (socket === later) later.connect(port, '127.0.0.1')
        await secure(client)
        assert.strictEqual(await echo(client, 'over another'), 'over another')
      })
    }
  })
  // TLS in TLS: the outer server hands the plaintext on to the inner one.
  const inner = S.createServer(serverOptions(), (socket) => socket.end('within'))
  await serve(S, {}, (port) => withClient(C, { port }, async (outer) => {
    await secure(outer)
    await withClient(C, { socket: outer, host: undefined }, async (client) => {
      assert.strictEqual(String((await once(client, 'data'))[0]), 'within')
    })
  }), (socket) => inner.emit('connection', socket))
})

inPairings('E09 a side may stay open after the other has said goodbye, where that is allowed', async (S, C) => {
  await serve(S, { allowHalfOpen: true }, (port) => withClient(C, { port, allowHalfOpen: true }, async (client) => {
    await secure(client)
    client.end('question')
    let text = ''
    for await (const chunk of client) text += chunk
    assert.strictEqual(text, 'answer to question')
  }), (socket) => {
    let text = ''
    socket.on('data', (chunk) => { text += chunk })
    socket.on('end', () => setImmediate(() => socket.end(`answer to ${text}`)))
  })
})

inPairings('E10 a server that is not trusted is an error with OpenSSL\'s name for it', async (S, C) => {
  const expired = certificate({ days: -1 })
  const alone = certificate({ ca: null })
  for (const [server, code] of [[expired, 'CERT_HAS_EXPIRED'], [alone, 'DEPTH_ZERO_SELF_SIGNED_CERT'], [{}, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE']]) {
    const options = { server: { ...server }, client: code.startsWith('UNABLE') ? { ca: [] } : {} }
    const { client } = await refused(S, C, options)
    assert.strictEqual(client.code, code)
    await connected(S, C, { ...options, client: { ...options.client, rejectUnauthorized: false } }, async (socket) => {
      assert.deepStrictEqual([socket.authorized, socket.authorizationError], [false, code])
    })
  }
})

inPairings('E12 protocols come as list, as bytes, or in the form of the wire', async (S, C) => {
  const wire = Buffer.from('\x01b\x01a')
  for (const ALPNProtocols of [['b', 'a'], wire, new Uint8Array(wire), new DataView(wire.buffer, wire.byteOffset, wire.length)]) {
    await connected(S, C, { server: { ALPNProtocols: ['a'] }, client: { ALPNProtocols } }, async (client, server) => {
      assert.deepStrictEqual([client.alpnProtocol, server.alpnProtocol], ['a', 'a'])
    })
  }
})

inPairings('E13 the name is sent, and checked', async (S, C) => {
  const options = { server: certificate({ cn: 'name.test' }), client: { servername: 'name.test' } }
  await connected(S, C, options, async (client, server) => {
    assert.deepStrictEqual([server.servername, client.servername, client.authorized], ['name.test', 'name.test', true])
  })
  const { client } = await refused(S, C, { client: { servername: 'other.test' } })
  assert.strictEqual(client.code, 'ERR_TLS_CERT_ALTNAME_INVALID')
  assert.strictEqual(client.host, 'other.test')
  assert.strictEqual(client.cert.subject.CN, 'localhost')
})

inPairings('E01 E14 names may be checked otherwise', async (S, C) => {
  const seen = []
  const accepts = (host, { subject }) => { seen.push([host, subject.CN]) }
  await connected(S, C, { client: { servername: 'other.test', checkServerIdentity: accepts } }, async (client) => assert.ok(client.authorized))
  assert.deepStrictEqual(seen, [['other.test', 'localhost']])
  const { client } = await refused(S, C, { client: { checkServerIdentity: () => new Error('not you') } })
  assert.strictEqual(client.message, 'not you')
})

limited('E14 the check may take its time', () => serve(nodetls, {}, async (port) => {
  const later = (value) => async () => { await new Promise(setImmediate); return value }
  await withClient(nodetls, { port, checkServerIdentity: later(undefined) }, secure)
  await withClient(nodetls, { port, checkServerIdentity: later(new Error('not you')) }, async (client) => {
    assert.strictEqual((await once(client, 'error'))[0].message, 'not you')
  })
}))

inPairings('E16 parameters that are too small end the handshake', async (S, C) => {
  // Node.js from 24 on passes over parameters in the form that is made here.
  if (S === tls && Number.parseInt(process.versions.node) >= 24) return
  const { cert, key } = certificate({ key: 'rsa' })
  const server = { cert, key, maxVersion: 'TLSv1.2', ciphers: 'DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0', dhparam: openssl('dhparam', '-dsaparam', '1024') }
  const ciphers = 'DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0'
  await connected(S, C, { server, client: { ciphers } }, async (client) => assert.strictEqual(client.getEphemeralKeyInfo().size, 1024))
  const { client } = await refused(S, C, { server, client: { ciphers, minDHSize: 2048 } })
  assert.strictEqual(client.code, 'ERR_TLS_DH_PARAM_SIZE')
  assert.throws(() => nodetls.connect({ port: 1, minDHSize: 0 }), /minDHSize/)
})

inPairings('E17 a context may be made before', (S, C) =>
  connected(S, C, { client: { ca: undefined, secureContext: C.createSecureContext({ ca: ca().cert, maxVersion: 'TLSv1.2' }) } }, async (client) => {
    assert.deepStrictEqual([client.authorized, client.getProtocol()], [true, 'TLSv1.2'])
  }))

inPairings('E19 E20 E22 options of net.Socket#connect work', (S, C) => serve(S, {}, async (port) => {
  const seen = []
  const lookup = (host, options, done) => {
    seen.push([host, options.hints])
    if (options.all) done(null, [{ address: '127.0.0.1', family: 4 }])
    else done(null, '127.0.0.1', 4)
  }
  await withClient(C, { port, host: 'somewhere.test', lookup, hints: 32, localAddress: '127.0.0.1', noDelay: true, keepAlive: true }, async (client) => {
    await secure(client)
    assert.strictEqual(client.localAddress, '127.0.0.1')
  })
  assert.deepStrictEqual(seen, [['somewhere.test', 32]])
  const failing = C.connect({ port, host: 'nowhere.test', lookup: (host, options, done) => done(Object.assign(new Error('no'), { code: 'ENOTFOUND' })) })
  assert.strictEqual((await once(failing, 'error'))[0].code, 'ENOTFOUND')
}))

inPairings('E21 a connection on which nothing happens tells so', (S, C) => serve(S, {}, (port) => withClient(C, { port, timeout: 40 }, async (client) => {
  // A handshake that takes longer tells so already.
  await Promise.all([secure(client), once(client, 'timeout')])
  assert.strictEqual(client.destroyed, false)
  assert.strictEqual(client.timeout, 40)
})))

inPairings('who listens for key material in the turn in which a connection is made hears all of it', async (S, C) => {
  const server = S.createServer(serverOptions(), (socket) => socket.end('x'))
  const [near, far] = pair()
  server.emit('connection', far)
  const client = C.connect({ socket: near, ...target })
  const lines = []
  client.on('keylog', (line) => lines.push(line))
  await once(client, 'data')
  assert.ok(lines.length >= 4)
  client.destroy()
})

withClients('E18 nothing is told of a status that was not asked for', (C) => serve(nodetls, {}, async (port, server) => {
  server.on('OCSPRequest', () => assert.fail('nobody asked'))
  await withClient(C, { port }, secure)
}))

limited('a connection that cannot be made is an error of the system, as with Node.js', async () => {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  const facts = async (module) => {
    const [{ code, syscall, address, message }] = await once(module.connect({ port, host: '127.0.0.1' }), 'error')
    return { code, syscall, address, message }
  }
  assert.deepStrictEqual(await facts(nodetls), await facts(tls))
})

limited('ready() resolves when the connection is secure, and rejects when it never will be', () => serve(nodetls, {}, async (port) => {
  await withClient(nodetls, { port }, async (client) => assert.strictEqual(await client.ready(), client))
  await withClient(nodetls, { port, ca: [] }, (client) => assert.rejects(client.ready(), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }))
}))
