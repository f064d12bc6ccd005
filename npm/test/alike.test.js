'use strict'

// The same calls end in the same way as with node:tls.

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const { once } = require('node:events')
const { PassThrough } = require('node:stream')
const { test } = require('node:test')

const { ca, certificate } = require('./fixtures')
const { builtin, connected, identity, listening, nodetls, outcome, trusting } = require('./peers')

/** Other versions word some of it differently. */
const skip = process.version.startsWith('v20.') ? false : 'the words are those of Node.js 20'

/** What a call throws, or that it does not. */
function thrown (call) {
  try {
    call()
    return null
  } catch (error) {
    return { name: error.name, code: error.code, text: String(error), facts: { ...error } }
  }
}

/** Connects as told; whatever comes later is not looked at. */
function connecting (tls, words) {
  return thrown(() => tls.connect(...words).on('error', () => {}).destroy())
}

const PORT = { host: '127.0.0.1', port: 1 }

const CONNECT = [
  [], [null], [undefined], ['1', '127.0.0.1'], [''], [{}], [{ port: undefined }], [() => {}], [true], [1n], [Symbol('x')], [[]],
  [-1], [65536], [NaN], [{ port: 'x' }], [{ port: null }], [{ path: 5 }], [{ ...PORT, host: 5 }],
  ...[5, 'abc', true, {}, [], Symbol('x'), Buffer.alloc(0), Buffer.from('abc'), null, ''].map((session) => [{ ...PORT, session }]),
  ...[5, 'abc', true, {}, [], null, 0].map((secureContext) => [{ ...PORT, secureContext }]),
  ...['x', 5, {}, true, null, 0].map((ALPNProtocols) => [{ ...PORT, ALPNProtocols }]),
  ...[5, 'abc', true, {}, [], null, 0, () => {}].map((pskCallback) => [{ ...PORT, pskCallback }]),
  ...[0, 5, 'abc', {}, [], () => {}, null, false].map((enableTrace) => [{ ...PORT, enableTrace }])
]

test('the arguments of connect are checked as by node:tls', { skip }, () => {
  for (const words of CONNECT) assert.deepEqual(connecting(nodetls, words), connecting(builtin, words), words.map((word) => typeof word).join())
})

test('the size of Diffie-Hellman parameters is checked in the words of node:tls', { skip }, () => {
  for (const minDHSize of [0, -1, NaN, -Infinity, '1', '', true, null, undefined, {}, []]) {
    const theirs = connecting(builtin, [{ ...PORT, minDHSize }])
    const ours = connecting(nodetls, [{ ...PORT, minDHSize }])
    // Theirs goes on to say that this is a bug in Node.js.
    assert.equal(ours.text, theirs.text.split('\n')[0])
    assert.equal(ours.code, theirs.code)
  }
})

test('a socket that cannot be made is an exception of its constructor', { skip }, () => {
  const { cert, key } = certificate()
  const options = [{ key: 'abc', cert }, { cert: 5 }, { ciphers: 'x' }, { secureContext: {} }, { minVersion: 'x' }, { enableTrace: 1 },
    { isServer: true, key, cert, pskCallback: 5 }, { session: 'abc' }, { isServer: true, key, cert, SNICallback: 'x' },
    { isServer: true, key, cert, ALPNCallback: {} }, { ALPNProtocols: 'x' }]
  for (const one of options) {
    const [ours, theirs] = [nodetls, builtin].map((tls) => thrown(() => new tls.TLSSocket(new PassThrough(), one).on('error', () => {})))
    assert.notEqual(theirs, null)
    assert.deepEqual(ours, theirs, Object.keys(one).join())
  }
})

test('setSession takes bytes and binary text', () => {
  const socket = new nodetls.TLSSocket(undefined, {})
  assert.throws(() => socket.setSession(5), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message: 'Session must be a buffer' })
  socket.setSession('abc')
  socket.setSession(new Uint8Array(3))
})

test('what is empty counts as not given by a server, as with node:tls', { skip }, () => {
  const names = ['pfx', 'passphrase', 'clientCertEngine', 'ca', 'minVersion', 'maxVersion', 'secureProtocol', 'crl', 'sigalgs', 'ciphers',
    'ecdhCurve', 'dhparam', 'secureOptions', 'privateKeyIdentifier', 'privateKeyEngine', 'sessionIdContext', 'sessionTimeout', 'ticketKeys']
  for (const name of names) {
    for (const value of [null, 0, '', false, NaN]) {
      const made = [nodetls, builtin].map((tls) => {
        let server
        const error = thrown(() => { server = tls.createServer(identity({ [name]: value })) })
        return { error, value: name === 'sessionIdContext' ? undefined : server?.[name] }
      })
      assert.deepEqual(made[0], made[1], `${name}: ${value}`)
    }
  }
})

test('the properties of servers and of the module come in the order of node:tls', { skip }, () => {
  const properties = (tls) => Object.keys(tls.createServer()).filter((name) => !name.startsWith('_'))
  assert.deepEqual(properties(nodetls), properties(builtin))
  const more = new Set(Object.keys(nodetls).filter((name) => !(name in builtin)))
  assert.deepEqual(Object.keys(nodetls).filter((name) => !more.has(name)), Object.keys(builtin))
})

test('keys of tickets that are too short are told of in the words of node:tls', () => {
  const [ours, theirs] = [nodetls, builtin].map((tls) => thrown(() => tls.createServer().setTicketKeys(Buffer.alloc(3))))
  assert.equal(ours.text, theirs.text.split('\n')[0])
  assert.equal(ours.code, theirs.code)
})

test('algorithms for compressing certificates are none, and the option is checked', () => {
  assert.deepEqual(nodetls.getCertificateCompressionAlgorithms(), [])
  const values = [undefined, null, [], ['zlib', 'brotli'], 'zlib', 5, ['x'], [5], ['zlib', 'zlib']]
  const told = values.map((certificateCompression) => thrown(() => nodetls.createSecureContext({ certificateCompression })))
  assert.deepEqual(told.slice(0, 4), [null, null, null, null])
  assert.ok(told.slice(4).every((error) => error !== null))
  if (!('getCertificateCompressionAlgorithms' in builtin)) return
  assert.deepEqual(told, values.map((certificateCompression) => thrown(() => builtin.createSecureContext({ certificateCompression }))))
})

// ---- connections ----

test('why a server was refused is found on the socket, too', async (t) => {
  const port = await listening(t, nodetls.createServer(identity()))
  const cases = [
    [{ ca: undefined }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    [{ servername: 'other.test' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    [{ checkServerIdentity: () => new Error('not this one') }, 'not this one'],
    [{ checkServerIdentity: () => Object.assign(new Error('nor this one'), { code: 'MINE' }) }, 'MINE']
  ]
  for (const [options, expected] of cases) {
    const socket = nodetls.connect(trusting(port, options))
    const [error] = await once(socket, 'error')
    assert.equal(error.code || error.message, expected)
    assert.equal(socket.authorized, false)
    assert.equal(socket.authorizationError, expected)
  }
})

test('the name that was looked up stands in _host', async (t) => {
  const port = await listening(t, nodetls.createServer(identity()))
  const socket = await connected(t, { ...trusting(port), host: 'localhost', lookup: (name, options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]) }, nodetls)
  assert.equal(socket._host, 'localhost')
})

test('a status that was asked for and not told is told as null, as by node:tls', async (t) => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    const port = await listening(t, nodetls.createServer(identity({ maxVersion: version }), (socket) => socket.end('x')))
    for (const tls of [nodetls, builtin]) assert.deepEqual(await statuses(tls, port), version === 'TLSv1.3' ? [[null], [null]] : [[null], []])
  }
})

/** What a client is told of the status, when it connects and when it resumes its session. */
async function statuses (tls, port) {
  const told = [[], []]
  let session
  for (const list of told) {
    const socket = tls.connect(trusting(port, { requestOCSP: true, session }))
    socket.on('OCSPResponse', (response) => list.push(response))
    socket.on('session', (made) => { session = made })
    socket.resume()
    await once(socket, 'close')
  }
  return told
}

test('a context for a name that is none is told of in the words of node:tls', async (t) => {
  const server = nodetls.createServer(identity({ SNICallback: (name, done) => done(null, {}) }))
  const port = await listening(t, server)
  const told = once(server, 'tlsClientError')
  await outcome(t, trusting(port))
  const [error] = await told
  assert.equal(String(error), 'TypeError: Invalid SNI context')
})

test('a store that could not keep a session does not end its connection', async (t) => {
  const server = nodetls.createServer(identity(), (socket) => socket.end('hello'))
  server.on('newSession', (id, session, done) => done(new Error('the store is full')))
  const socket = await connected(t, trusting(await listening(t, server)))
  const [data] = await once(socket, 'data')
  assert.equal(String(data), 'hello')
})

test('errors that come before OpenSSL have library and reason as well', async (t) => {
  const server = nodetls.createServer(identity())
  const port = await listening(t, server)
  const told = once(server, 'tlsClientError')
  const socket = require('node:net').connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => {})
  // A ClientHello that ends within its version.
  socket.write(Buffer.from('16030100050100000103', 'hex'))
  const [error] = await told
  assert.equal(error.library, 'SSL routines')
  assert.equal(error.reason, 'bad extension')
})

// ---- listeners that throw ----

/** A process that outlives exceptions: how many there were, and how many of its connections were made and closed. */
function survivor (listeners) {
  const program = `
    const nodetls = require(${JSON.stringify(require.resolve('..'))})
    const listeners = (${listeners})()
    let exceptions = 0
    process.on('uncaughtException', () => { exceptions++ })
    const server = nodetls.createServer(${JSON.stringify({ cert: String(certificate().cert), key: String(certificate().key) })}, (socket) => {
      socket.on('data', (chunk) => { socket.write(chunk); listeners.data?.(socket) })
      socket.on('end', () => listeners.end?.(socket))
      listeners.secureConnection?.(socket)
    })
    if (listeners.tlsClientError) server.on('tlsClientError', listeners.tlsClientError)
    server.listen(0, '127.0.0.1', async () => {
      const sockets = Array.from({ length: 8 }, () => nodetls.connect({ port: server.address().port, servername: 'localhost', ...listeners.client ?? { ca: ${JSON.stringify(String(ca().cert))} } }))
      const told = await Promise.all(sockets.map((socket) => new Promise((resolve) => {
        let text = ''
        socket.on('error', () => {})
        socket.on('data', (chunk) => { text += chunk; socket.end() })
        socket.on('secureConnect', () => { socket.write('x'); listeners.secureConnect?.(socket) })
        socket.on('close', () => resolve(text))
      })))
      server.close()
      process.on('exit', () => console.log(JSON.stringify({ exceptions, told: told.join('') })))
    })`
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8', timeout: 20000 })
  assert.equal(stderr, '')
  return JSON.parse(stdout)
}

test('a listener that throws holds up neither its connection nor others, where the process lives on', () => {
  const ALL = { exceptions: 8, told: 'xxxxxxxx' }
  assert.deepEqual(survivor('() => ({ secureConnection () { throw new Error() } })'), ALL)
  assert.deepEqual(survivor('() => ({ secureConnect () { throw new Error() } })'), ALL)
  assert.deepEqual(survivor('() => ({ data () { throw new Error() } })'), ALL)
  assert.deepEqual(survivor('() => ({ end () { throw new Error() } })'), ALL)
})

test('a listener of tlsClientError that throws does not keep the socket open, where the process lives on', () => {
  const { exceptions, told } = survivor('() => ({ client: {}, tlsClientError () { throw new Error() } })')
  assert.deepEqual({ exceptions, told }, { exceptions: 8, told: '' })
})
