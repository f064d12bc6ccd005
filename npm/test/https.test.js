'use strict'

// nodetls/https, with itself, with Node.js's own, and with curl.

const { spawn } = require('node:child_process')
const http = require('node:http')
const builtin = require('node:https')
const tls = require('node:tls')
const nodetls = require('..')
const ours = require('../lib/https')
const ours2 = require('../lib/http2')
const { ca, certificate } = require('./fixtures')
const { assert, limited, once } = require('./world')

const MISSING = (process.env.NODETLS_MISSING ?? '').split(',')

/** A server that listens; closed after `use` has its port. */
async function listening (server, use) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    return await use(server.address().port)
  } finally {
    server.closeAllConnections?.()
    server.close()
  }
}

async function text (stream) {
  let all = ''
  for await (const chunk of stream) all += chunk
  return all
}

/** A request, its answer's text, and whether its session was resumed. */
function get (https, options) {
  return new Promise((resolve, reject) => {
    https.get({ host: 'localhost', ca: ca().cert, ...options }, async (response) => {
      const { socket } = response
      const facts = { reused: socket.isSessionReused(), socket }
      resolve({ ...facts, status: response.statusCode, body: await text(response) })
    }).on('error', reject)
  })
}

const answer = (request, response) => {
  response.setHeader('x-servername', String(request.socket.servername))
  response.end(`${request.method} ${request.url} ${request.socket.encrypted}`)
}

limited('https serves and asks, with Node.js\'s own at the other end too', async () => {
  for (const [serving, asking] of [[ours, ours], [ours, builtin], [builtin, ours]]) {
    await listening(serving.createServer(certificate(), answer), async (port) => {
      const { status, body } = await get(asking, { port, path: '/x', agent: false })
      assert.deepStrictEqual([status, body], [200, 'GET /x true'])
      await assert.rejects(get(asking, { port, ca: undefined, agent: false }), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
    })
  }
})

limited('an agent keeps connections, and resumes sessions where it makes new ones', () => listening(ours.createServer(certificate(), answer), async (port) => {
  const agent = new ours.Agent({ keepAlive: true, ca: ca().cert })
  const first = await get(ours, { port, agent })
  await new Promise(setImmediate)
  const second = await get(ours, { port, agent })
  assert.strictEqual(second.socket, first.socket)
  agent.destroy()
  const other = new ours.Agent({ ca: ca().cert })
  assert.strictEqual((await get(ours, { port, agent: other })).reused, false)
  assert.strictEqual((await get(ours, { port, agent: other })).reused, true)
}))

limited('the name of the Host header is the one that is sent', () => listening(ours.createServer(certificate({ cn: 'host.test' }), answer), async (port) => {
  const servername = await new Promise((resolve, reject) => {
    ours.get({ host: '127.0.0.1', port, ca: ca().cert, headers: { host: 'host.test:1' }, agent: new ours.Agent() }, (response) => {
      response.resume()
      resolve(response.headers['x-servername'])
    }).on('error', reject)
  })
  assert.strictEqual(servername, 'host.test')
}))

limited('a URL will do, and options besides', () => listening(ours.createServer(certificate(), answer), async (port) => {
  for (const url of [`https://localhost:${port}/a?b`, new URL(`https://localhost:${port}/a?b`)]) {
    const body = await new Promise((resolve, reject) => {
      ours.request(url, { method: 'DELETE', ca: ca().cert, agent: false }, (response) => resolve(text(response))).on('error', reject).end()
    })
    assert.strictEqual(body, 'DELETE /a?b true')
  }
  assert.throws(() => ours.request('http://localhost/'), { code: 'ERR_INVALID_PROTOCOL' })
}))

limited('much goes both ways', () => listening(ours.createServer(certificate(), (request, response) => request.pipe(response)), async (port) => {
  const data = Buffer.alloc(5 << 20, 'much')
  const length = await new Promise((resolve, reject) => {
    ours.request({ host: 'localhost', port, method: 'POST', ca: ca().cert, agent: false }, async (response) => {
      let count = 0
      for await (const chunk of response) count += chunk.length
      resolve(count)
    }).on('error', reject).end(data)
  })
  assert.strictEqual(length, data.length)
}))

/** Curl's output. */
async function curl (...words) {
  const child = spawn('curl', ['-sS', '--cacert', ca().certFile, ...words])
  const [output, error] = await Promise.all([text(child.stdout), text(child.stderr)])
  return output + error
}

limited('curl asks, by HTTP/1.1 and HTTP/2', async (t) => {
  if (MISSING.includes('curl')) return t.skip('curl is missing')
  await listening(ours.createServer(certificate(), answer), async (port) => {
    assert.strictEqual(await curl(`https://localhost:${port}/c`, '--connect-to', '::127.0.0.1:'), 'GET /c true')
  })
  const server = ours2.createSecureServer({ ...certificate(), allowHTTP1: true }, (request, response) => response.end(request.httpVersion))
  await listening(server, async (port) => {
    for (const [flag, version] of [['--http2', '2.0'], ['--http1.1', '1.1']]) {
      assert.strictEqual(await curl(flag, `https://localhost:${port}/`, '--connect-to', '::127.0.0.1:'), version)
    }
  })
})

/** What the same program does on Node.js's own module, and on ours. */
async function alike (program) {
  const [theirs, mine] = [await program(builtin, tls), await program(ours, nodetls)]
  assert.deepStrictEqual(mine, theirs)
  return mine
}

limited('requests know the server that they came to, which has the options and fields of an HTTP server', () => alike(async (https) => {
  const server = https.createServer({ ...certificate(), headersTimeout: 1000, requestTimeout: 2000, keepAliveTimeout: 3000, insecureHTTPParser: true,
    maxHeaderSize: 9999, joinDuplicateHeaders: true, requireHostHeader: false, connectionsCheckingInterval: 500 })
  server.on('request', (request, response) => response.end(String(request.socket.server === server)))
  const { body } = await listening(server, (port) => get(https, { port, agent: false }))
  const { timeout, keepAliveTimeout, headersTimeout, requestTimeout, insecureHTTPParser, maxHeaderSize, joinDuplicateHeaders, requireHostHeader,
    connectionsCheckingInterval, noDelay, httpAllowHalfOpen, maxHeadersCount } = server
  return [body, timeout, keepAliveTimeout, headersTimeout, requestTimeout, insecureHTTPParser, maxHeaderSize, joinDuplicateHeaders, requireHostHeader,
    connectionsCheckingInterval, noDelay, httpAllowHalfOpen, maxHeadersCount, server.eventNames()]
}))

limited('options that are none are refused', () => alike(async (https) => {
  const codeOf = (options, listener) => {
    try {
      https.createServer(options, listener)
    } catch ({ code }) {
      return code
    }
  }
  return [codeOf('x'), codeOf({}, 5), codeOf({ headersTimeout: 5000, requestTimeout: 1000 }), codeOf({ insecureHTTPParser: 'x' }), codeOf(null), codeOf()]
}))

limited('a server tells once that it has closed, and closes idle connections for that', () => alike(async (https) => {
  const server = https.createServer(certificate(), answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const agent = new https.Agent({ keepAlive: true })
  await get(https, { port: server.address().port, agent })
  let count = 0
  server.on('close', () => count++)
  await new Promise((resolve) => server.close(resolve))
  await new Promise(setImmediate)
  agent.destroy()
  return count
}))

limited('a client that has ended its side is answered', () => alike(async (https, module) => {
  const server = https.createServer(certificate(), async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    response.end(`got ${text}`)
  })
  return listening(server, async (port) => {
    const client = module.connect({ host: '127.0.0.1', port, servername: 'localhost', ca: ca().cert })
    client.end('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody')
    return (await text(client)).split('\r\n\r\n')[1]
  })
}))

limited('the events of a request come in Node.js\'s order', () => alike((https) => listening(https.createServer(certificate(), answer), async (port) => {
  const events = []
  const request = https.get({ host: '127.0.0.1', servername: 'localhost', port, ca: ca().cert, agent: false })
  request.on('socket', (socket) => {
    for (const name of ['connect', 'ready', 'secureConnect', 'end', 'finish', 'close']) socket.on(name, () => events.push(name))
    socket.on('close', () => request.emit('done'))
  })
  for (const name of ['finish', 'response', 'close']) request.on(name, () => events.push(`request: ${name}`))
  request.on('response', (response) => response.resume().on('end', () => events.push('response: end')))
  await once(request, 'done')
  return events
})))

limited('what is written to a server that speaks no TLS fails as Node.js says it', () => alike((https) => listening(http.createServer(), async (port) => {
  const error = await get(https, { port, agent: false }).catch((failure) => failure)
  return [error.code, error.errno, error.syscall, error.message.startsWith('write EPROTO')]
})))

limited('an agent\'s names are Node.js\'s, and differ where trust or identity does', async () => {
  const common = { host: 'h', port: 1 }
  const simple = [undefined, common, { host: 'h', servername: 'h' }, { host: 'h', servername: 'other' }, { ...common, rejectUnauthorized: false, honorCipherOrder: false, secureOptions: 0 },
    { ...common, localAddress: 'l', ca: 'ca', cert: 'cert', key: 'key', ciphers: 'c', pfx: 'pfx', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', secureProtocol: 'p',
      crl: [Buffer.from('c'), Buffer.from('r')], ecdhCurve: 'e', dhparam: 'd', sessionIdContext: 's', sigalgs: 'g', privateKeyIdentifier: 'i', privateKeyEngine: 'n' }]
  await alike(async (https) => simple.map((options) => new https.Agent().getName(options)))
  const key = (pem, passphrase) => ({ key: [{ pem, passphrase }] })
  const buf = (bytes, passphrase) => ({ pfx: [{ buf: Buffer.from(bytes), passphrase }] })
  const distinct = [{}, buf([1]), buf([2]), buf([1], 'p'), { pfx: [Buffer.from([1, 255])] }, { pfx: Buffer.from([1, 254]) }, key('a'), key('b'), key('a', 'p'),
    { ca: ['a', 'b'] }, { ca: 'a,b' }, { ca: 'a', cert: 'b:c' }, { ca: 'a', cert: 'b', clientCertEngine: 'c' }, { passphrase: 'x' }, { checkServerIdentity () {} },
    { checkServerIdentity () {} }, { secureContext: nodetls.createSecureContext() }, { allowPartialTrustChain: true }]
  const names = distinct.map((options) => new ours.Agent().getName({ ...common, ...options }))
  assert.strictEqual(new Set(names).size, distinct.length)
  assert.strictEqual(new ours.Agent().getName({ ...common, ...buf([1]) }), names[1])
})
