'use strict'

// The manual's own examples, word for word (test/manual/): only the module's name and the port, which has to be free, are
// put in their place.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { after, test } = require('node:test')
const tls = require('..')
const { ca, certificate, directory } = require('./fixtures')

const MODULE = path.join(__dirname, '..')
const authority = ca()
const identity = certificate()
const children = []

after(() => { for (const child of children) child.kill() })

const example = (name) => fs.readFileSync(path.join(__dirname, 'manual', `${name}.txt`), 'utf8')

/** Runs a piece of the manual with what it speaks of. */
function run (name, facts, result = 'undefined') {
  const code = example(name).replace('/tmp/ssl-keys.log', path.join(directory, 'ssl-keys.log').replaceAll('\\', '/'))
  return new Function('tls', 'fs', ...Object.keys(facts), `${code}\nreturn ${result}`)(tls, fs, ...Object.values(facts))
}

function program (name, port) {
  const code = example(name)
    .replace("'api/source/tls'", JSON.stringify(MODULE))
    .replace("'api/source/fs'", "'node:fs'")
    .replace(name === 'echo-server' ? 'listen(8000' : 'connect(8000', (text) => text.replace('8000', String(port)))
  const child = spawn(process.execPath, ['-e', code], { cwd: directory, stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdout.setEncoding('utf8')
  children.push(child)
  return child
}

/** All that a program prints until it has printed this. */
async function until (child, text) {
  let printed = ''
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    printed += chunk
    if (printed.includes(text)) return printed
  }
  throw new Error(`the program has ended without ${JSON.stringify(text)}: ${printed}`)
}

async function freePort () {
  const server = net.createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

test('the echo server and its client greet each other and echo', async () => {
  const server = certificate({ ca: null, san: 'DNS:other.test' })
  const client = certificate({ ca: null, client: true, cn: 'client' })
  for (const [name, { cert, key }] of Object.entries({ server, client })) {
    fs.writeFileSync(path.join(directory, `${name}-cert.pem`), cert)
    fs.writeFileSync(path.join(directory, `${name}-key.pem`), key)
  }
  const port = await freePort()
  const echo = program('echo-server', port)
  await until(echo, 'server bound')
  const speaker = program('echo-client', port)
  assert.match(await until(speaker, 'welcome!'), /client connected authorized/)
  await until(echo, 'server connected authorized')
  speaker.stdin.write('said by the client\n')
  await until(speaker, 'said by the client')
  speaker.stdin.end()
  await until(speaker, 'server ends connection')
})

/** A server and a client's options for it. */
async function listening (options = {}, onsocket = (socket) => socket.end()) {
  const server = tls.createServer({ ...identity, ...options }, (socket) => {
    socket.on('error', () => {})
    onsocket(socket)
  })
  server.listen(0)
  await once(server, 'listening')
  return { server, target: { port: server.address().port, host: 'localhost', ca: authority.cert } }
}

test('sessions are stored and found again by the server\'s own store', async () => {
  // Sessions of TLS 1.2 without tickets are the ones that are stored.
  const { constants } = require('node:crypto')
  const { server, target } = await listening({ maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET })
  const store = run('sessions', { server }, 'tlsSessionStore')
  const reused = []
  let session
  for (let round = 0; round < 2; round++) {
    const client = tls.connect({ ...target, session })
    client.on('session', (given) => { session = given })
    client.once('secureConnect', () => reused.push(client.isSessionReused()))
    client.resume()
    await once(client, 'close')
  }
  assert.deepEqual(reused, [false, true])
  assert.equal(Object.keys(store).length, 1)
  server.close()
})

test('a session that was told of is used at once for the next connection', async () => {
  const { server, target } = await listening()
  const made = []
  const client = tls.connect(target)
  run('session', { tlsSocket: client, tls: { connect: (options) => made.push(options) } })
  client.resume()
  await once(client, 'close')
  const next = tls.connect({ ...target, ...made[0] })
  let reused
  next.once('secureConnect', () => { reused = next.isSessionReused() })
  next.resume()
  await once(next, 'close')
  assert.equal(reused, true)
  server.close()
})

test('keying material is exported, the same for both sides', async () => {
  const ofServer = []
  const { server, target } = await listening({}, (socket) => {
    ofServer.push(run('keying-material', { tlsSocket: socket }, 'keyingMaterial'))
    socket.end()
  })
  const ofClient = []
  const client = tls.connect(target)
  client.once('secureConnect', () => ofClient.push(run('keying-material', { tlsSocket: client }, 'keyingMaterial')))
  client.resume()
  await once(client, 'close')
  assert.equal(ofClient[0].length, 128)
  assert.deepEqual(ofClient, ofServer)
  server.close()
})

test('keys are logged for those who listen', async () => {
  const { server, target } = await listening()
  const file = run('keylog-of-server', { server }, 'logFile')
  const client = tls.connect(target)
  const own = run('keylog-of-socket', { tlsSocket: client }, 'logFile')
  client.resume()
  await once(client, 'close')
  for (const stream of [file, own]) await new Promise((resolve) => stream.end(resolve))
  assert.match(fs.readFileSync(path.join(directory, 'ssl-keys.log'), 'utf8'), /^CLIENT_HANDSHAKE_TRAFFIC_SECRET [0-9a-f]+ [0-9a-f]+$/m)
  server.close()
})

test('a pair is replaced by a socket', async () => {
  const secure = []
  const plain = net.createServer((socket) => {
    const options = { ...identity, isServer: true }
    const secureSocket = new Function('tls', 'socket', 'options', `let secureSocket\n${example('tls-socket')}\nreturn secureSocket`)(tls, socket, options)
    secureSocket.on('secure', () => {
      secure.push('socket')
      secureSocket.end()
    })
  }).listen(0)
  await once(plain, 'listening')
  const client = tls.connect({ port: plain.address().port, host: 'localhost', ca: authority.cert })
  client.resume()
  await once(client, 'close')
  assert.deepEqual(secure, ['socket'])
  plain.close()
})

test('a pair is piped as the manual has it', async () => {
  const { server, target } = await listening()
  const socket = net.connect(target.port)
  const pair = new Function('tls', 'socket', `let pair\n${example('secure-pair')}\nreturn pair`)(
    { createSecurePair: () => tls.createSecurePair(tls.createSecureContext({ ca: authority.cert }), false) }, socket)
  await once(pair, 'secure')
  assert.equal(pair.cleartext.getPeerCertificate().subject.CN, 'localhost')
  pair.destroy()
  socket.destroy()
  server.close()
})

test('the list of suites is printed', (context) => {
  const log = context.mock.method(console, 'log', () => {})
  run('ciphers', {})
  assert.ok(log.mock.calls[0].arguments[0].includes('tls_aes_256_gcm_sha384'))
})
