'use strict'

// Published programs in processes of their own, on top of this package by `nodetls/register`, and the servers that they
// speak with.

const assert = require('node:assert/strict')
const { spawn, spawnSync } = require('node:child_process')
const { once } = require('node:events')
const fs = require('node:fs')
const net = require('node:net')
const path = require('node:path')
const { test } = require('node:test')
const { setTimeout: sleep } = require('node:timers/promises')

const { ca, certificate } = require('../fixtures')

const ROOT = path.join(__dirname, '..', '..')
const REGISTER = path.join(ROOT, 'lib', 'register.js')
const LIMIT = 30000

/** A test that fails rather than hangs. */
function limited (title, options, body) {
  test(title, { timeout: LIMIT, ...options }, body)
}

/** Why a test cannot be run without the program, loudly, or false. */
function missing (program) {
  const known = (process.env.NODETLS_MISSING ?? '').split(',')
  return known.includes(program) || find(program) === null ? `${program} is missing` : false
}

/** Where a program is, or null. */
function find (program) {
  if (path.isAbsolute(program)) return fs.existsSync(program) ? program : null
  const found = spawnSync('which', [program], { encoding: 'utf8' }).stdout.trim()
  return found || null
}

/** Whoever speaks TLS in such a process speaks it by this package; `check` fails where nobody did. */
const UNDER_NODETLS = `
  const nodetls = require(${JSON.stringify(ROOT)})
  if (require('node:tls') !== nodetls || require('tls').connect !== nodetls.connect) throw new Error('not under nodetls')
  let sockets = 0
  const { TLSSocket } = nodetls
  const begin = TLSSocket.prototype._begin
  TLSSocket.prototype._begin = function (...words) { sockets++; return begin.apply(this, words) }
  const check = () => { if (sockets === 0) throw new Error('no connection of nodetls was made') }`

/** Nothing of this package is in such a process. */
const UNDER_NODE = `
  const check = () => { if (Object.keys(require.cache).some((file) => file.startsWith(${JSON.stringify(path.join(ROOT, 'lib'))}))) throw new Error('not under node:tls') }`

/**
 * Runs the function in a process whose `tls` is this package; what it returns. It must not refer to anything outside.
 * @param {(facts: any) => Promise<any>} body
 * @param {any} [facts]
 */
function program (body, facts) {
  return run(UNDER_NODETLS, ['--require', REGISTER], body, facts)
}

/**
 * `program`, and what it returns must be what the function returns where `tls` is Node.js's own.
 * @param {(facts: any) => Promise<any>} body
 * @param {any} [facts]
 */
async function alike (body, facts) {
  const ours = await program(body, facts)
  assert.deepEqual(ours, await run(UNDER_NODE, [], body, facts))
  return ours
}

async function run (prelude, words, body, facts = {}) {
  const source = `${prelude}
    ;(${body})(${JSON.stringify({ ...facts, ca: String(ca().cert) })}).then((result) => {
      check()
      process.stdout.write(JSON.stringify(result ?? null), () => process.exit(0))
    }).catch((error) => { console.error(error); process.exit(1) })`
  const child = spawn(process.execPath, [...words, '-e', source], { cwd: ROOT, env: { ...process.env, NODE_OPTIONS: '' } })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) child[name].on('data', (chunk) => { output[name] += chunk })
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT - 5000)
  const [code] = await once(child, 'close')
  clearTimeout(timer)
  assert.equal(code, 0, output.stderr + output.stdout)
  return JSON.parse(output.stdout)
}

/** A port that nobody listens on, for programs that cannot choose one. */
async function freePort () {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Starts a server, ended with the test by the signal, and waits until it accepts connections. */
async function daemon (t, command, words, port, { signal = 'SIGINT', ...options } = {}) {
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { output += chunk })
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill(signal)
    await ended
  })
  for (;;) {
    assert.equal(child.exitCode, null, output)
    const socket = net.connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch {
      await sleep(50)
    } finally {
      socket.destroy()
    }
  }
}

module.exports = { alike, assert, ca, certificate, daemon, find, freePort, fs, limited, missing, once, path, program }
