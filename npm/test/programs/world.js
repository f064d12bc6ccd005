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

/**
 * Runs the function in a process whose `tls` is this package; what it returns. It must not refer to anything outside.
 * @param {(facts: any) => Promise<any>} body
 * @param {any} [facts]
 */
async function program (body, facts = {}) {
  const source = `
    const nodetls = require(${JSON.stringify(ROOT)})
    if (require('node:tls') !== nodetls || require('tls').connect !== nodetls.connect) throw new Error('not under nodetls')
    // Whoever speaks TLS here speaks it by this package.
    let sockets = 0
    const { TLSSocket } = nodetls
    const begin = TLSSocket.prototype._begin
    TLSSocket.prototype._begin = function (...words) { sockets++; return begin.apply(this, words) }
    ;(${body})(${JSON.stringify({ ...facts, ca: String(ca().cert) })}).then((result) => {
      if (sockets === 0) throw new Error('no connection of nodetls was made')
      process.stdout.write(JSON.stringify(result ?? null), () => process.exit(0))
    }).catch((error) => { console.error(error); process.exit(1) })`
  const child = spawn(process.execPath, ['--require', REGISTER, '-e', source], { cwd: ROOT, env: { ...process.env, NODE_OPTIONS: '' } })
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

/** Starts a server, ended with the test, and waits until it accepts connections. */
async function daemon (t, command, words, port, options = {}) {
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { output += chunk })
  const ended = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGINT')
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

module.exports = { assert, ca, certificate, daemon, find, freePort, fs, limited, missing, once, path, program }
