'use strict'

// nodetls/https and nodetls/http2, with each other, with Node.js's own, and with curl; and nodetls/register.

const { spawn, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const builtin = require('node:https')
const builtin2 = require('node:http2')
const path = require('node:path')
const nodetls = require('..')
const ours = require('../lib/https')
const ours2 = require('../lib/http2')
const { ca, certificate, directory } = require('./fixtures')
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

limited('http2 serves and asks, with Node.js\'s own at the other end too', async () => {
  for (const [serving, asking] of [[ours2, ours2], [ours2, builtin2], [builtin2, ours2]]) {
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

limited('a client that does not speak HTTP/2 is refused where nothing else is allowed', () => listening(ours2.createSecureServer(certificate(), () => {}), async (port) => {
  const client = nodetls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: ca().cert, ALPNProtocols: ['http/1.1'] })
  const [error] = await once(client, 'error')
  assert.strictEqual(error.code, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL')
}))

limited('register puts the modules under programs, by require and by import', () => {
  const register = path.join(__dirname, '..', 'lib', 'register.js')
  const module = path.join(directory, 'program.mjs')
  fs.writeFileSync(module, `
    import tls, { connect } from 'node:tls'
    import https, { Agent } from 'https'
    import { createSecureServer } from 'node:http2'
    import { createRequire } from 'node:module'
    const require = createRequire(import.meta.url)
    const ours = require(${JSON.stringify(path.join(__dirname, '..'))})
    console.log(tls === ours, connect === ours.connect, Agent === https.Agent && new Agent() instanceof require('node:http').Agent, typeof createSecureServer, require('tls') === ours)`)
  for (const [flag, file] of [['--import', module], ['--require', module]]) {
    const { stdout, stderr } = spawnSync(process.execPath, [flag, register, file], { encoding: 'utf8' })
    assert.strictEqual(stdout.trim(), 'true true true function true', stderr)
  }
  const code = `console.log(require('tls') === require(${JSON.stringify(path.join(__dirname, '..'))}), require('node:https').Agent === require('https').Agent)`
  assert.strictEqual(spawnSync(process.execPath, ['--require', register, '-e', code], { encoding: 'utf8' }).stdout.trim(), 'true true')
})
