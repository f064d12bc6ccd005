'use strict'

const assert = require('node:assert/strict')
const { EventEmitter, once } = require('node:events')
const net = require('node:net')
const { Duplex } = require('node:stream')
const { test } = require('node:test')

const { builtin, connected, identity, listening, nodetls, outcome, sClient, text, trusting } = require('./peers')

test('a server serves the clients of Node.js itself', async (t) => {
  const server = nodetls.createServer(identity(), (socket) => {
    assert.ok(socket instanceof nodetls.TLSSocket)
    assert.equal(socket.server, server)
    assert.equal(socket.encrypted, true)
    socket.end('hello')
  })
  const client = await connected(t, trusting(await listening(t, server)))
  assert.equal(client.authorized, true)
  assert.equal(await text(client), 'hello')
})

test('a server is made with and without new, and listens as a net.Server', () => {
  assert.ok(nodetls.Server() instanceof nodetls.Server)
  assert.ok(new nodetls.Server() instanceof net.Server)
  let called = false
  const server = nodetls.createServer(() => { called = true })
  server.emit('secureConnection')
  assert.equal(called, true)
})

test('options are checked as Node.js checks them', () => {
  const cases = [
    [1], [{ handshakeTimeout: 'x' }], [{ SNICallback: 1 }], [{ pskCallback: 1 }], [{ pskIdentityHint: 1 }],
    [{ ALPNCallback () {}, ALPNProtocols: ['x'] }], [{ ticketKeys: Buffer.alloc(3) }], [{ ticketKeys: 'x' }],
    [{ sessionTimeout: -1 }], [{ sessionTimeout: 'a' }], [{ sessionIdContext: 3 }]
  ]
  for (const words of cases) assert.throws(() => nodetls.createServer(...words), sameAs(() => builtin.createServer(...words)))
  for (const [method, ...words] of [['addContext', ''], ['setSecureContext'], ['setTicketKeys', 's']]) {
    assert.throws(() => nodetls.createServer()[method](...words), sameAs(() => builtin.createServer()[method](...words)))
  }
  assert.throws(() => nodetls.createServer().setTicketKeys(Buffer.alloc(4)), /48-byte/)
})

function sameAs (call) {
  try {
    call()
  } catch ({ name, code, message }) {
    return { name, code, message }
  }
  throw new Error('Node.js does not object')
}

test('a handshake has to have a time limit', () => {
  for (const handshakeTimeout of [-1, Infinity]) {
    assert.throws(() => nodetls.createServer({ handshakeTimeout }), { code: 'ERR_OUT_OF_RANGE' })
  }
})

test('a handshake that takes too long is told of, and then ended', async (t) => {
  const server = nodetls.createServer(identity({ handshakeTimeout: 50 }))
  const client = net.connect(await listening(t, server), '127.0.0.1')
  t.after(() => client.destroy())
  let alive
  server.on('tlsClientError', (error, { destroyed, remotePort }) => { alive = !destroyed && remotePort === client.localPort })
  const [error, socket] = await once(server, 'tlsClientError')
  assert.equal(error.code, 'ERR_TLS_HANDSHAKE_TIMEOUT')
  assert.equal(alive, true)
  client.resume()
  await once(client, 'close')
  assert.equal(socket.destroyed, true)
})

test('bytes do not prolong the time limit of a handshake', async (t) => {
  const server = nodetls.createServer(identity({ handshakeTimeout: 150 }))
  const client = net.connect(await listening(t, server), '127.0.0.1')
  const drip = setInterval(() => client.write(Buffer.from([22])), 20)
  t.after(() => { clearInterval(drip); client.destroy() })
  client.on('error', () => {})
  const [error] = await once(server, 'tlsClientError')
  assert.match(error.code, /^ERR_TLS_HANDSHAKE_TIMEOUT$|^ERR_SSL_/)
})

test('a client that vanishes is told of as Node.js does', async (t) => {
  const server = nodetls.createServer(identity())
  const client = net.connect(await listening(t, server), '127.0.0.1')
  client.once('connect', () => client.end())
  const [error, socket] = await once(server, 'tlsClientError')
  assert.equal(error.code, 'ECONNRESET')
  assert.equal(error.message, 'socket hang up')
  assert.ok(socket instanceof nodetls.TLSSocket)
})

test('a client that resets the connection during the handshake does not end the process', async (t) => {
  const server = nodetls.createServer(identity())
  const port = await listening(t, server)
  const client = net.connect(port, '127.0.0.1', () => {
    client.write(Buffer.from([22, 3, 1, 2, 0, 1]), () => client.resetAndDestroy())
  })
  const [error] = await once(server, 'tlsClientError')
  assert.equal(error.code, 'ECONNRESET')
  server.removeAllListeners('tlsClientError')
  const second = net.connect(port, '127.0.0.1', () => second.resetAndDestroy())
  await once(second, 'close')
  assert.equal((await connected(t, trusting(port))).authorized, true)
})

test('plain HTTP is refused, and the socket closed', async (t) => {
  const server = nodetls.createServer(identity())
  const client = net.connect(await listening(t, server), '127.0.0.1', () => client.write('GET / HTTP/1.1\r\n\r\n'))
  client.resume()
  const [error, socket] = await once(server, 'tlsClientError')
  assert.equal(error.code, 'ERR_SSL_HTTP_REQUEST')
  await once(client, 'close')
  assert.equal(socket.destroyed, true)
})

test('the server listens on while a client fails', async (t) => {
  const server = nodetls.createServer(identity(), (socket) => socket.end('still here'))
  const port = await listening(t, server)
  await outcome(t, { ...trusting(port), ca: undefined })
  assert.equal(await text(await connected(t, trusting(port))), 'still here')
})

test('any stream can be handed over as a connection', async (t) => {
  const server = nodetls.createServer(identity(), (socket) => socket.end('over memory'))
  const [near, far] = pair()
  server.emit('connection', far)
  const client = await connected(t, { ...trusting(), port: undefined, host: undefined, socket: near })
  assert.equal(await text(client), 'over memory')
})

/** Two streams, of which each reads what the other writes. */
function pair () {
  const ends = [0, 1].map((index) => new Duplex({
    read () {},
    write (chunk, encoding, done) { ends[1 - index].push(chunk); done() },
    final (done) { ends[1 - index].push(null); done() }
  }))
  return ends
}

test('a TLS connection can be carried by another one', async (t) => {
  const inner = nodetls.createServer(identity(), (socket) => socket.end('within'))
  const outer = nodetls.createServer(identity(), (socket) => inner.emit('connection', socket))
  const first = await connected(t, trusting(await listening(t, outer)))
  const second = await connected(t, { ...trusting(), port: undefined, host: undefined, socket: first })
  assert.equal(await text(second), 'within')
})

test('pauseOnConnect leaves the bytes until somebody resumes', async (t) => {
  const server = nodetls.createServer(identity({ pauseOnConnect: true }))
  const client = await connected(t, trusting(await listening(t, server)))
  client.end('patience')
  const socket = server._last ?? (await once(server, 'secureConnection'))[0]
  assert.equal(socket.isPaused(), true)
  assert.equal(await text(socket), 'patience')
})

test('keylog tells the server of key material, with the socket', async (t) => {
  const server = nodetls.createServer(identity(), (socket) => socket.end())
  const lines = []
  server.on('keylog', (line, socket) => {
    assert.ok(Buffer.isBuffer(line))
    assert.ok(socket instanceof nodetls.TLSSocket)
    lines.push(line.toString())
  })
  await text(await connected(t, trusting(await listening(t, server))))
  assert.ok(lines.some((line) => line.startsWith('CLIENT_HANDSHAKE_TRAFFIC_SECRET ') && line.endsWith('\n')))
})

test('setSecureContext holds for connections from then on', async (t) => {
  const server = nodetls.createServer({}, (socket) => socket.end())
  const port = await listening(t, server)
  const refused = await outcome(t, trusting(port))
  assert.match(refused.code, /HANDSHAKE_FAILURE|INTERNAL_ERROR|ECONNRESET/)
  server.setSecureContext(identity())
  assert.equal((await connected(t, trusting(port))).authorized, true)
})

test('the properties of Node.js servers are there', () => {
  const server = nodetls.createServer({ honorCipherOrder: false, sessionTimeout: 12, sessionIdContext: 'mine', ciphers: 'HIGH' })
  assert.equal(server.honorCipherOrder, false)
  assert.equal(server.sessionTimeout, 12)
  assert.equal(server.sessionIdContext, 'mine')
  assert.equal(server.ciphers, 'HIGH')
  assert.match(nodetls.createServer().sessionIdContext, /^[0-9a-f]{32}$/)
  assert.equal(nodetls.createServer().sessionIdContext, builtin.createServer().sessionIdContext)
  assert.equal(nodetls.createServer().honorCipherOrder, true)
})

test('connections and setOptions are there, and deprecated', async () => {
  const server = nodetls.createServer()
  const warnings = []
  const warned = (warning) => warnings.push(warning.code)
  process.on('warning', warned)
  assert.equal(server.connections, 0)
  server.setOptions({ requestCert: true })
  assert.equal(server.requestCert, true)
  await new Promise(setImmediate)
  process.off('warning', warned)
  assert.deepEqual(warnings.sort(), ['DEP0020', 'DEP0122'])
})

test('getConnections counts, and close waits for them', async (t) => {
  const server = nodetls.createServer(identity())
  const client = await connected(t, trusting(await listening(t, server)))
  const count = await new Promise((resolve, reject) => server.getConnections((error, n) => error ? reject(error) : resolve(n)))
  assert.equal(count, 1)
  const closed = once(server, 'close')
  server.close()
  client.destroy()
  await closed
})

test('for await gives the connections one by one', async (t) => {
  const server = nodetls.createServer(identity())
  const port = await listening(t, server)
  const clients = [0, 1].map(async () => text(await connected(t, trusting(port))))
  let count = 0
  for await (const socket of server) {
    socket.end(`number ${++count}`)
    if (count === 2) server.close()
  }
  assert.deepEqual((await Promise.all(clients)).sort(), ['number 1', 'number 2'])
})

test('for await ends by the error of a server that fails', async (t) => {
  const port = await listening(t, nodetls.createServer(identity()))
  const second = nodetls.createServer(identity()).listen(port, '127.0.0.1')
  await assert.rejects(async () => { for await (const socket of second) socket.destroy() }, { code: 'EADDRINUSE' })
})

test('options that are made for answers take them without a promise', async (t) => {
  const asked = []
  const options = {
    ...identity(),
    maxVersion: 'TLSv1.2',
    secureOptions: require('node:crypto').constants.SSL_OP_NO_TICKET,
    onClientHello: (hello) => { asked.push(hello.servername) },
    SNICallback: (servername) => { asked.push(`context of ${servername}`) },
    newSession: () => { asked.push('new') },
    resumeSession: (id) => { asked.push(typeof id) }
  }
  const server = nodetls.createServer(options, (socket) => socket.end('served'))
  const port = await listening(t, server)
  const client = await connected(t, trusting(port))
  assert.equal(await text(client), 'served')
  // A client that speaks TLS 1.3 too always names a session.
  assert.deepEqual(asked, ['localhost', 'context of localhost', 'object', 'new'])
  const again = await connected(t, { ...trusting(port), session: client.getSession() ?? undefined })
  assert.equal(await text(again), 'served')
  const strict = nodetls.createServer({ ...identity(), onClientHello: () => false })
  await assert.rejects(connected(t, trusting(await listening(t, strict))))
})

test('diagnostics_channel tells of secure connections and of failures', async (t) => {
  const { channel } = require('node:diagnostics_channel')
  const heard = []
  const [secure, failure] = [(message) => heard.push(['secure', message]), (message) => heard.push(['error', message])]
  channel('nodetls.server.secure').subscribe(secure)
  channel('nodetls.server.error').subscribe(failure)
  t.after(() => {
    channel('nodetls.server.secure').unsubscribe(secure)
    channel('nodetls.server.error').unsubscribe(failure)
  })
  const server = nodetls.createServer(identity(), (socket) => socket.end())
  const port = await listening(t, server)
  await text(await connected(t, trusting(port)))
  const told = once(server, 'tlsClientError')
  await outcome(t, { ...trusting(port), ca: undefined })
  const [error] = await told
  assert.deepEqual(heard.map(([name]) => name), ['secure', 'error'])
  assert.equal(heard[1][1].error, error)
  assert.equal(heard[0][1].server, server)
})

test('an exception in an asynchronous listener closes its socket where rejections are captured', async (t) => {
  EventEmitter.captureRejections = true
  t.after(() => { EventEmitter.captureRejections = false })
  const server = nodetls.createServer(identity())
  server.on('secureConnection', async (socket) => {
    socket.on('error', (error) => { socket.server.emit('told', error) })
    throw new Error('in vain')
  })
  const port = await listening(t, server)
  const told = once(server, 'told')
  await outcome(t, trusting(port))
  assert.equal((await told)[0].message, 'in vain')
})

test("OpenSSL's own client is served with each version", async (t) => {
  const server = nodetls.createServer(identity(), (socket) => socket.end('x'))
  const port = await listening(t, server)
  for (const [flag, name] of [['-tls1_2', 'TLSv1.2'], ['-tls1_3', 'TLSv1.3']]) {
    const { output } = await sClient(t, port, flag, '-servername', 'localhost', '-verify_return_error')
    assert.ok(output.includes(name), output)
    assert.match(output, /Verify(cation)?( return code)?: (0 \()?(ok|OK)/i)
  }
})

test('ready rejects also when it is asked for too late', async (t) => {
  const port = await listening(t, nodetls.createServer(identity()))
  const gone = nodetls.connect(trusting(port)).destroy()
  await once(gone, 'close')
  await assert.rejects(gone.ready(), { code: 'ECONNRESET' })
  const failed = nodetls.connect({ port, host: '127.0.0.1' })
  await once(failed, 'error')
  if (!failed.closed) await once(failed, 'close')
  await assert.rejects(failed.ready(), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
})

test('a handshake over a socket of the program\'s own, as `mysql` does it: `_start`, \'secure\', `ssl.verifyError()`', async (t) => {
  const port = await listening(t, nodetls.createServer(identity(), (socket) => socket.end('hello')))
  const verdicts = []
  for (const module of [require('node:tls'), nodetls]) {
    for (const ca of [trusting(port).ca, undefined]) {
      const plain = net.connect(port, '127.0.0.1')
      await once(plain, 'connect')
      const socket = new module.TLSSocket(plain, { requestCert: true, secureContext: module.createSecureContext({ ca }), isServer: false })
      t.after(() => socket.destroy())
      socket._start()
      await once(socket, 'secure')
      verdicts.push(socket.ssl.verifyError()?.code ?? null)
      assert.equal(await text(socket), 'hello')
    }
  }
  assert.deepEqual(verdicts, [null, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', null, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'])
})
