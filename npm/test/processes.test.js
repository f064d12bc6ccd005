'use strict'

// What concerns whole processes: command-line flags at work, clusters, workers, when a process ends, what it keeps.

const { fork, spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { ca, certificate, directory } = require('./fixtures')
const { assert, inPairings, limited, nodetls, once, secure, serve, tls, withClient } = require('./world')

const MODULES = { nodetls: require.resolve('..'), 'Node.js': 'node:tls' }

/** Runs a program whose `tls` is the module; what it prints, and how it ends. */
function run (module, code, { flags = [], env = {} } = {}) {
  const prelude = `const tls = require(${JSON.stringify(module)}); const { cert, key, ca } = JSON.parse(process.env.TEST_PEM);`
  const { cert, key } = certificate()
  const pem = JSON.stringify({ cert: String(cert), key: String(key), ca: String(ca().cert) })
  return spawnSync(process.execPath, [...flags, '-e', prelude + code], { encoding: 'utf8', timeout: 9000, env: { ...process.env, ...env, TEST_PEM: pem } })
}

/** A connection with itself; prints protocol and suite, or the error's code. */
const CONNECT = `
  const server = tls.createServer({ cert, key }, (socket) => socket.end())
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1', () => {
    const client = tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca })
    client.on('secureConnect', () => console.log(client.getProtocol(), client.getCipher().name))
    client.on('error', ({ code }) => console.log(code))
    client.on('close', () => server.close()).resume()
  })`

limited('A20 A21 flags and NODE_OPTIONS choose suites and versions, as for Node.js\'s own', () => {
  const cases = [
    [['--tls-max-v1.2'], {}, /^TLSv1\.2 /],
    [['--tls-min-v1.3'], {}, /^TLSv1\.3 /],
    [['--tls-min-v1.0', '--tls-max-v1.2'], {}, /^TLSv1\.2 /],
    [[], { NODE_OPTIONS: '--tls-max-v1.2' }, /^TLSv1\.2 /],
    [['--tls-cipher-list=ECDHE-ECDSA-AES256-GCM-SHA384', '--tls-max-v1.2'], {}, /^TLSv1\.2 ECDHE-ECDSA-AES256-GCM-SHA384$/m],
    [[], { NODE_OPTIONS: '--tls-cipher-list=TLS_CHACHA20_POLY1305_SHA256' }, /^TLSv1\.3 TLS_CHACHA20_POLY1305_SHA256$/m]
  ]
  for (const [flags, env, expected] of cases) {
    for (const module of Object.values(MODULES)) assert.match(run(module, CONNECT, { flags, env }).stdout, expected, flags.join(' '))
  }
})

limited('NODE_TLS_REJECT_UNAUTHORIZED=0 lets everybody in, and is warned of', () => {
  for (const module of Object.values(MODULES)) {
    const { stdout, stderr } = run(module, CONNECT.replace(', ca }', ' }'), { env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } })
    assert.match(stdout, /^TLSv1\.3 /)
    assert.match(stderr, /NODE_TLS_REJECT_UNAUTHORIZED.*insecure/)
  }
})

limited('the file of --tls-keylog is warned of, and a connection does not fail with it', () => {
  const lines = []
  for (const module of Object.values(MODULES)) {
    const file = path.join(directory, `key-log-${lines.length}`)
    const { stdout, stderr } = run(module, CONNECT, { flags: [`--tls-keylog=${file}`] })
    assert.match(stdout, /^TLSv1\.3 /)
    assert.match(stderr, /Using --tls-keylog makes TLS connections insecure by writing secret key material to file /)
    lines.push(fs.readFileSync(file, 'latin1').split('\n').map((line) => line.split(' ')[0]).sort())
    const failed = run(module, CONNECT, { flags: [`--tls-keylog=${path.join(directory, 'none', 'x')}`] })
    assert.match(failed.stdout, /^TLSv1\.3 /)
    assert.match(failed.stderr, /Failed to write TLS keylog \(this warning will not be repeated\): Error: ENOENT/)
  }
  assert.deepStrictEqual(lines[0], lines[1])
})

limited('A17 the workers of a cluster share ticket keys', async (t) => {
  const { cert, key } = certificate()
  const primary = fork(path.join(__dirname, 'cluster-program.js'), { env: { ...process.env, TEST_CERT: String(cert), TEST_KEY: String(key) } })
  t.after(() => primary.connected && primary.disconnect())
  const [{ port }] = await once(primary, 'message')
  const seen = []
  let session
  for (let count = 0; count < 4; count++) {
    await withClient(tls, { port, session }, async (client) => {
      let text = ''
      client.on('session', (given) => { session = given })
      client.on('data', (chunk) => { text += chunk })
      await once(client, 'close')
      seen.push(text.split(' '))
    })
  }
  assert.strictEqual(new Set(seen.map(([pid]) => pid)).size, 2)
  assert.deepStrictEqual(seen.map(([, reused]) => reused), ['false', 'true', 'true', 'true'])
  const ended = once(primary, 'exit')
  primary.disconnect()
  await ended
})

inPairings('A13 A14 tickets resume sessions, the server keeps nothing', async (S, C) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    await serve(S, { maxVersion }, async (port, server) => {
      server.on('newSession', (id, data, done) => done())
      let session
      await withClient(C, { port }, async (client) => {
        client.on('session', (given) => { session = given })
        await secure(client)
        client.write('x')
        await once(client, 'data')
      })
      await withClient(C, { port, session }, async (client) => {
        await secure(client)
        assert.ok(client.isSessionReused(), maxVersion)
      })
    })
  }
})

limited('a process ends when its connections have, and not while a server listens', async () => {
  const { status, stdout } = run(MODULES.nodetls, CONNECT)
  assert.strictEqual(status, 0)
  assert.match(stdout, /^TLSv1\.3/)
  assert.strictEqual(run(MODULES.nodetls, 'console.log(tls.getCiphers().length > 0)').status, 0)
  const { cert, key } = certificate()
  const pem = JSON.stringify({ cert: String(cert), key: String(key) })
  const code = `const tls = require(${JSON.stringify(MODULES.nodetls)}); const s = tls.createServer(JSON.parse(process.env.TEST_PEM)).listen(0, () => console.log('listens')); process.on('message', () => s.close(() => process.disconnect()))`
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], env: { ...process.env, TEST_PEM: pem } })
  await once(child.stdout, 'data')
  const ended = once(child, 'exit')
  const early = await Promise.race([ended.then(() => true), new Promise((resolve) => setTimeout(resolve, 300, false))])
  assert.strictEqual(early, false)
  child.send('close')
  assert.deepStrictEqual(await ended, [0, null])
})

limited('an unreferenced server or connection does not keep a process', () => {
  const { status } = run(MODULES.nodetls, `
    const server = tls.createServer({ cert, key }).listen(0, '127.0.0.1', () => {
      const client = tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca })
      client.on('secureConnect', () => { client.unref(); server.unref() })
      server.on('secureConnection', (socket) => socket.unref())
    })`)
  assert.strictEqual(status, 0)
})

limited('a client that is killed in the middle of its handshake leaves nothing behind', () => serve(nodetls, {}, async (port, server) => {
  const failed = once(server, 'tlsClientError')
  const code = `const net = require('node:net'); const s = net.connect(${port}, '127.0.0.1', () => { s.write(Buffer.from([22, 3, 1, 2, 0, 1])); process.send('sent') })`
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  await once(child, 'message')
  child.kill('SIGKILL')
  const [error, socket] = await failed
  assert.strictEqual(error.code, 'ECONNRESET')
  if (!socket.closed) await once(socket, 'close')
  const count = await new Promise((resolve, reject) => server.getConnections((failure, n) => failure ? reject(failure) : resolve(n)))
  assert.strictEqual(count, 0)
}))

limited('worker threads have the module to themselves, and end', async () => {
  const { Worker } = require('node:worker_threads')
  const { cert, key } = certificate()
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    const tls = require(workerData.module)
    const server = tls.createServer(workerData, (socket) => socket.on('error', () => {}).end(tls.DEFAULT_MIN_VERSION))
    tls.DEFAULT_MIN_VERSION = 'TLSv1.3'
    server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
    parentPort.once('message', () => { server.close(); parentPort.close() })`
  const workers = [0, 1].map(() => new Worker(code, { eval: true, workerData: { module: MODULES.nodetls, cert: String(cert), key: String(key) } }))
  const ports = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]))
  for (const port of ports) {
    await withClient(nodetls, { port }, async (client) => assert.strictEqual(String((await once(client, 'data'))[0]), 'TLSv1.3'))
  }
  assert.strictEqual(nodetls.DEFAULT_MIN_VERSION, 'TLSv1.2')
  const ended = workers.map((worker) => once(worker, 'exit'))
  for (const worker of workers) worker.postMessage('end')
  assert.deepStrictEqual(await Promise.all(ended), [[0], [0]])
})

limited('threads that are ended in the middle of handshakes take nothing with them', async () => {
  const { Worker } = require('node:worker_threads')
  const { cert, key } = certificate()
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    const tls = require(workerData.module)
    const server = tls.createServer({ ...workerData, SNICallback: async () => null }, (socket) => socket.on('error', () => {}).pipe(socket))
    server.on('tlsClientError', () => {})
    let count = 0
    function visit () {
      const client = tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: workerData.ca, checkServerIdentity: async () => undefined })
      client.once('data', () => {
        client.destroy()
        visit()
        if (++count === 5) parentPort.postMessage('busy')
      })
      client.on('error', () => {}).write('x')
    }
    server.listen(0, '127.0.0.1', () => { for (let left = 8; left > 0; left--) visit() })`
  for (let round = 0; round < 10; round++) {
    const workerData = { module: MODULES.nodetls, cert: String(cert), key: String(key), ca: String(ca().cert) }
    const workers = [0, 1].map(() => new Worker(code, { eval: true, workerData }))
    await Promise.all(workers.map(async (worker) => {
      await once(worker, 'message')
      await worker.terminate()
    }))
  }
}, 60000)

limited('a process may load the package again, as test runners do, and each goes on', () => {
  const { status, stdout, stderr } = run(MODULES.nodetls, `
    const { once } = require('node:events')
    for (const name of Object.keys(require.cache)) delete require.cache[name]
    const again = require(${JSON.stringify(MODULES.nodetls)})
    async function visit (serving, connecting) {
      const server = serving.createServer({ cert, key }, (socket) => socket.end('x')).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const client = connecting.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca })
      const [data] = await once(client, 'data')
      server.close()
      return String(data)
    }
    const pairs = [[tls, tls], [again, again], [tls, again], [again, tls]]
    Promise.all(pairs.map((pair) => visit(...pair))).then((seen) => console.log(tls !== again, ...seen))`)
  assert.strictEqual(stdout.trim(), 'true x x x x', stderr)
  assert.strictEqual(status, 0)
})

limited('no file of the package takes Node.js\'s own tls, or what is inside Node.js', () => {
  const fs = require('node:fs')
  const root = path.join(__dirname, '..', 'lib')
  for (const name of fs.readdirSync(root, { recursive: true })) {
    if (!/\.m?js$/.test(String(name))) continue
    const source = fs.readFileSync(path.join(root, String(name)), 'utf8').replace(/^\s*(\/\/|\/?\*).*$/gm, '')
    assert.doesNotMatch(source, /(require\(|from )['"](node:)?(_tls_\w+|tls|https)['"]/, String(name))
    assert.doesNotMatch(source, /process\.binding|internalBinding|['"]internal\//, String(name))
  }
  // Nor does anything that it loads.
  const code = `
    const Module = require('node:module'); const load = Module._load
    Module._load = function (name, parent, ...rest) { if (/^(node:)?(_tls_.*|tls|https)$/.test(name)) throw new Error('loads ' + name); return load.call(this, name, parent, ...rest) }
    for (const name of ['', '/https', '/http2']) require(${JSON.stringify(path.join(__dirname, '..'))} + (name && '/lib' + name))`
  const { status, stderr } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' })
  assert.strictEqual(status, 0, stderr)
})

limited('ten thousand connections leave neither memory nor handles behind', async () => {
  const code = `
    const { once } = require('node:events')
    const handles = () => process.getActiveResourcesInfo().filter((name) => /TCP|Pipe/.test(name)).length
    const used = () => { gc(); gc(); const { heapUsed, external, arrayBuffers } = process.memoryUsage(); return heapUsed + external + arrayBuffers }
    const server = tls.createServer({ cert, key }, (socket) => { socket.on('error', () => {}); socket.end('x') })
    async function visit (options) {
      const client = tls.connect(options).resume()
      client.on('error', () => {})
      await once(client, 'close')
    }
    async function round (count, options) {
      for (let left = count; left > 0; left -= 20) await Promise.all(Array.from({ length: 20 }, () => visit(options)))
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    server.listen(0, '127.0.0.1', async () => {
      const secureContext = tls.createSecureContext({ ca })
      const options = { port: server.address().port, host: '127.0.0.1', servername: 'localhost', secureContext }
      await round(2000, options)
      const [before, open] = [used(), handles()]
      await round(10000, options)
      console.log(JSON.stringify({ grown: used() - before, more: handles() - open }))
      server.close()
    })`
  const { stdout, stderr } = await asynchronously(code)
  const { grown, more } = JSON.parse(stdout || 'null') ?? assert.fail(stderr)
  assert.strictEqual(more, 0)
  // A byte a connection would be a leak of nothing; a connection's own objects are tens of kilobytes.
  assert.ok(grown < 10000 * 100, `${grown} bytes more`)
}, 120000)

/** As `run`, without holding up this process. */
async function asynchronously (code) {
  const { cert, key } = certificate()
  const pem = JSON.stringify({ cert: String(cert), key: String(key), ca: String(ca().cert) })
  const prelude = `const tls = require(${JSON.stringify(MODULES.nodetls)}); const { cert, key, ca } = JSON.parse(process.env.TEST_PEM);`
  const child = spawn(process.execPath, ['--expose-gc', '-e', prelude + code], { env: { ...process.env, TEST_PEM: pem } })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) child[name].on('data', (chunk) => { output[name] += chunk })
  await once(child, 'close')
  return output
}
