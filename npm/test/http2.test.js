'use strict'

// nodetls/http2, with itself, and with Node.js's own.

const builtin = require('node:http2')
const https = require('node:https')
const tls = require('node:tls')
const nodetls = require('..')
const ours = require('../lib/http2')
const { ca, certificate } = require('./fixtures')
const { assert, limited, once } = require('./world')

/** A server that listens; closed with its sessions after `use` has its port. */
async function listening (server, use) {
  const sessions = new Set()
  server.on('session', (session) => sessions.add(session.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return await use(server.address().port)
  } finally {
    server.close()
    for (const session of sessions) session.destroy()
  }
}

/** A session with the server, destroyed after `use` has it. */
async function visiting (http2, port, options, use) {
  const session = http2.connect(`https://localhost:${port}`, { ca: ca().cert, ...options })
  session.on('error', () => {})
  try {
    return await use(session)
  } finally {
    session.destroy()
  }
}

async function text (stream) {
  let all = ''
  for await (const chunk of stream.setEncoding('utf8')) all += chunk
  return all
}

/** What the same program does on Node.js's own module, and on ours. */
async function alike (program) {
  const [theirs, mine] = [await program(builtin, tls), await program(ours, nodetls)]
  assert.deepStrictEqual(mine, theirs)
  return mine
}

/** An answer by HTTP/1.1: status and text, or the error's code. */
function old (port, options = {}) {
  return new Promise((resolve) => {
    https.get({ host: 'localhost', port, ca: ca().cert, agent: false, ...options }, async (response) => resolve([response.statusCode, await text(response)]))
      .on('error', ({ code }) => resolve(code))
  })
}

limited('http2 serves and asks, with Node.js\'s own at the other end too', async () => {
  for (const [serving, asking] of [[ours, ours], [ours, builtin], [builtin, ours]]) {
    const server = serving.createSecureServer(certificate())
    server.on('stream', (stream, headers) => {
      stream.respond({ ':status': 200 })
      stream.end(`${headers[':path']} ${stream.session.encrypted} ${stream.session.alpnProtocol}`)
    })
    await listening(server, async (port) => {
      const session = asking.connect(`https://localhost:${port}`, { ca: ca().cert })
      const bodies = await Promise.all(['/1', '/2'].map((name) => text(session.request({ ':path': name }).setEncoding('utf8'))))
      assert.deepStrictEqual(bodies, ['/1 true h2', '/2 true h2'])
      assert.ok(session.encrypted && session.alpnProtocol === 'h2')
      session.close()
      await once(session, 'close')
    })
  }
})

limited('a client that does not speak HTTP/2 is refused where nothing else is allowed', () => listening(ours.createSecureServer(certificate(), () => {}), async (port) => {
  const client = nodetls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: ca().cert, ALPNProtocols: ['http/1.1'] })
  const [error] = await once(client, 'error')
  assert.strictEqual(error.code, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL')
}))

limited('requests and sessions have the socket with all that it can tell', () => alike((http2, module) => {
  const client = certificate({ cn: 'client', client: true })
  const server = http2.createSecureServer({ ...certificate(), requestCert: true, ca: ca().cert }, ({ socket, stream }, response) => {
    const { session } = stream
    response.end(JSON.stringify([socket.encrypted, socket.authorized, socket.alpnProtocol, socket.servername, socket.remoteFamily, socket.server === server,
      socket.getPeerCertificate().subject.CN, socket.getProtocol(), session.encrypted, session.alpnProtocol, session.socket.authorized]))
  })
  return listening(server, (port) => visiting(http2, port, { cert: client.cert, key: client.key }, async (session) => {
    const [, socket] = await once(session, 'connect')
    return [await text(session.request()), socket instanceof module.TLSSocket, session.socket.authorized, session.socket.getPeerCertificate().subject.CN,
      session.encrypted, session.alpnProtocol]
  }))
}))

limited('a session is connected when its server is trusted, and not before', () => alike((http2, module) => listening(http2.createSecureServer(certificate()), async (port) => {
  const own = () => module.connect({ host: '127.0.0.1', port, servername: 'localhost', ALPNProtocols: ['h2'] })
  const seen = []
  for (const options of [{ ca: undefined }, { createConnection: own }, { servername: 'other.test' }]) {
    await visiting(http2, port, options, async (session) => {
      session.on('connect', () => seen.push('connect'))
      session.on('error', ({ code }) => seen.push(code))
      session.request().on('error', ({ code }) => seen.push(code))
      await new Promise((resolve) => session.on('close', resolve))
    })
  }
  return seen
})))

limited('a session over a socket of the program\'s own is one over TLS', () => alike((http2, module) => listening(http2.createSecureServer(certificate(), (request, response) => response.end('x')), async (port) => {
  const createConnection = () => module.connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca().cert, ALPNProtocols: ['h2'] })
  const early = createConnection()
  await once(early, 'secureConnect')
  const seen = []
  for (const options of [{ createConnection }, { createConnection: () => early }]) {
    await visiting(http2, port, options, async (session) => {
      const body = await text(session.request())
      seen.push([body, session.encrypted, session.alpnProtocol, session.socket.authorized])
    })
  }
  return seen
})))

limited('the protocols are http2\'s, unless a callback chooses', () => alike(async (http2) => {
  const bodies = []
  for (const options of [{ ALPNProtocols: ['x'] }, { ALPNCallback: ({ protocols }) => protocols[0] }]) {
    const server = http2.createSecureServer({ ...certificate(), ...options }, (request, response) => response.end(request.httpVersion))
    bodies.push(await listening(server, (port) => visiting(http2, port, { ALPNProtocols: ['y'] }, (session) => text(session.request()))))
  }
  return bodies
}))

limited('what one frame has brought is done before the next is seen', () => alike(async (http2) => {
  const server = http2.createSecureServer(certificate())
  server.on('stream', (stream, headers) => {
    if (headers[':path'] === '/push') {
      stream.pushStream({ ':path': '/pushed' }, (error, pushed) => {
        pushed.respond()
        pushed.end('pushed')
      })
    } else {
      stream.additionalHeaders({ ':status': 100 })
    }
    stream.respond()
    stream.end('answer')
  })
  return listening(server, (port) => visiting(http2, port, {}, async (session) => {
    const arrived = new Promise((resolve) => session.on('stream', async (stream) => resolve(await text(stream))))
    const pusher = await text(session.request({ ':path': '/push' }))
    const pushed = await arrived
    const events = []
    const request = session.request({ ':path': '/', ':method': 'POST', expect: '100-continue' })
    request.on('continue', () => {
      events.push('continue')
      request.end('x')
    })
    return [pusher, pushed, await text(request), events]
  }))
}))

limited('a server that allows HTTP/1.1 is an HTTP server for it', () => alike(async (http2) => {
  const server = http2.createSecureServer({ ...certificate(), allowHTTP1: true }, (request, response) => response.end(`${request.httpVersion} ${request.socket.server === server}`))
  let closed = 0
  server.on('close', () => closed++)
  const seen = [server.timeout, server.headersTimeout, server.requestTimeout, server.connectionsCheckingInterval]
  await listening(server, async (port) => {
    seen.push(await visiting(http2, port, {}, (session) => text(session.request())))
    const agent = new https.Agent({ keepAlive: true })
    seen.push(await old(port, { agent }))
    await new Promise((resolve) => server.close(resolve))
    agent.destroy()
  }).catch(({ code }) => seen.push(code))
  return [...seen, closed]
}))

limited('a client without HTTP/2 is told so, or left to the program', () => alike((http2) => listening(http2.createSecureServer(certificate()), async (port) => {
  const [status, message] = await old(port)
  const server = http2.createSecureServer(certificate())
  const kinds = []
  server.on('unknownProtocol', (socket) => socket.end('HTTP/1.1 299 Own\r\nConnection: close\r\n\r\nown'))
  server.on('clientError', ({ code }) => kinds.push(code))
  return [status, message, await listening(server, async (next) => [await old(next), await old(next, { ALPNProtocols: ['http/1.1'] })]), kinds]
})))

limited('a server\'s time limit and settings are its sessions\'', () => alike((http2) => {
  const server = http2.createSecureServer({ ...certificate(), settings: { maxConcurrentStreams: 7 } })
  const timeout = new Promise((resolve) => server.setTimeout(50, () => resolve('timeout')))
  const settings = (port) => visiting(http2, port, {}, async (session) => (await once(session, 'remoteSettings'))[0].maxConcurrentStreams)
  return listening(server, async (port) => {
    const first = await settings(port)
    server.updateSettings({ maxConcurrentStreams: 9 })
    return [first, await settings(port), await visiting(http2, port, {}, () => timeout), server.timeout]
  })
}))

limited('much goes both ways, in many streams at once', () => listening(ours.createSecureServer(certificate(), (request, response) => request.pipe(response)), (port) => visiting(ours, port, {}, async (session) => {
  const lengths = await Promise.all(Array.from({ length: 20 }, async (unused, index) => {
    const request = session.request({ ':method': 'POST' })
    request.end(Buffer.alloc(300000 + index, 'a'))
    return (await text(request)).length
  }))
  assert.deepStrictEqual(lengths, Array.from({ length: 20 }, (unused, index) => 300000 + index))
})))
