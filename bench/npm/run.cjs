// nodetls in Node.js against the built-in module of Node.js, Bun and Deno: one command, one table.
//
//   cargo xtask bench --npm [--quick] [--json]
//
// Each measure starts a fresh server (server.cjs) and a client (bench/src/load.rs, a tokio-rustls one, the same for
// all). The implementations take turns within each round; a cell is the median of all rounds, a ratio the median of
// the rounds' own ratios to the built-in module of the same Node.js binary, Node.js 20. Processor time is that of the
// whole server process, its threads and the kernel's share included. What is measured has run before: handshakes as
// many times, so that the engine has compiled what it will, as it has in a server that runs for more than a second;
// the rest a tenth of that.
'use strict'

const { spawn, execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const readline = require('node:readline')

const load = process.env.NODETLS_LOAD
const quick = process.argv.includes('--quick')
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice('--only='.length)
const ROUNDS = quick ? 1 : 7
const SCALE = quick ? 0.02 : 1
const PACKAGE = process.env.NODETLS_PACKAGE ?? path.join(__dirname, '..', '..', 'npm')

/** Where the runtimes are that npm has installed. */
const binary = (...parts) => path.join(__dirname, 'node_modules', ...parts)
const runtimes = {
  node20: { command: binary('node20', 'bin', 'node'), flags: ['--expose-gc'] },
  node26: { command: binary('node26', 'bin', 'node'), flags: ['--expose-gc'] },
  bun: { command: binary('bun', 'bin', 'bun.exe'), flags: ['run'] },
  deno: { command: binary('.bin', 'deno'), flags: ['run', '--allow-all'] }
}

const implementations = [
  { name: 'nodetls, Node 20', runtime: 'node20', module: PACKAGE },
  { name: 'tls, Node 20', runtime: 'node20', module: 'tls' },
  { name: 'nodetls, Node 26', runtime: 'node26', module: PACKAGE },
  { name: 'tls, Node 26', runtime: 'node26', module: 'tls' },
  { name: 'tls, Bun', runtime: 'bun', module: 'tls' },
  { name: 'tls, Deno', runtime: 'deno', module: 'tls' }
].filter(({ name, runtime }) => {
  const isThere = fs.existsSync(runtimes[runtime].command)
  if (!isThere) console.error(`not measured, since it is not installed here: ${name}`)
  return isThere
})

const MIB = 1024 * 1024
const per = (unit) => (count) => ({ count: Math.max(32, Math.round(count * SCALE / 32) * 32), unit })
const handshakes = (unit) => {
  const measured = per(unit)(3200)
  return { ...measured, warmUp: measured.count }
}
const measures = [
  { name: 'bulk down', load: 'down', ...per('MiB/s')(512 * MIB), figure: (r) => r.count / MIB / r.seconds, more: true, bar: 1.0 },
  { name: 'bulk up', load: 'up', ...per('MiB/s')(512 * MIB), figure: (r) => r.count / MIB / r.seconds, more: true, bar: 1.0 },
  { name: 'echo of 64 bytes', load: 'echo', ...per('echoes/s')(64000), figure: (r) => r.count / r.seconds, more: true, bar: 0.9 },
  { name: 'full handshakes, clients on the same cores', load: 'full', ...handshakes('/s'), figure: (r) => r.count / r.seconds, more: true },
  // What a server with two cores of its own sustains: its busiest thread is full, or both cores are.
  { name: 'full handshakes, by the time of two cores', load: 'full', ...handshakes('/s'), figure: (r) => r.count / Math.max(r.main, r.cpu / 2), more: true, bar: 1.5 },
  { name: 'full handshake, CPU', load: 'full', ...handshakes('µs'), figure: (r) => r.cpu * 1e6 / r.count, bar: 0.8 },
  // Like the others these are of X25519 alone, but for this: what a client offers that prefers a post-quantum group, where
  // the server knows it (Node.js 20 does not).
  { name: 'full handshake, default groups, CPU', load: 'full', groups: 'default', ...handshakes('µs'), figure: (r) => r.cpu * 1e6 / r.count },
  { name: 'handshakes, two of three resumed, CPU', load: 'resumed', ...handshakes('µs'), figure: (r) => r.cpu * 1e6 / r.count },
  { name: 'timer p99 under RSA handshakes', load: 'burst', key: 'rsa', ...per('ms')(2048), figure: (r) => r.delay, bar: 0.1 },
  { name: 'idle connection, RSS', load: 'idle', memory: true, ...per('KiB')(1024), figure: (r) => r.grown.rss / 1024 / r.count },
  { name: 'idle connection, heap', load: 'idle', memory: true, ...per('KiB')(1024), figure: (r) => r.grown.heapUsed / 1024 / r.count }
].filter(({ name }) => !only || name.includes(only))

/** Certificates for the servers, made by OpenSSL's program. */
function makeCertificates (directory) {
  const openssl = (...words) => execFileSync('openssl', words, { cwd: directory, stdio: 'pipe' })
  const ec = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
  openssl('req', '-x509', '-newkey', ...ec, '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=bench', '-days', '2')
  fs.writeFileSync(path.join(directory, 'ext'), 'subjectAltName=DNS:localhost\n')
  for (const [kind, options] of [['ec', ec], ['rsa', ['rsa:2048']]]) {
    openssl('req', '-newkey', ...options, '-nodes', '-keyout', `${kind}.key`, '-out', `${kind}.csr`, '-subj', '/CN=localhost')
    openssl('x509', '-req', '-in', `${kind}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial',
      '-days', '2', '-extfile', 'ext', '-out', `${kind}.pem`)
  }
}

/** A child process that answers each line with a line of JSON. */
class Talker {
  constructor (command, words) {
    this.child = spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.lines = readline.createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
    this.ended = new Promise((resolve) => this.child.once('exit', resolve))
  }

  async next () {
    const { value, done } = await this.lines.next()
    if (done) throw new Error('a process has ended early')
    return JSON.parse(value)
  }

  ask (line) {
    this.child.stdin.write(line + '\n')
    return this.next()
  }

  async end () {
    this.child.stdin.end()
    await this.ended
  }
}

async function turn (directory, implementation, measure) {
  const { command, flags } = runtimes[implementation.runtime]
  const kind = measure.key ?? 'ec'
  const files = [`${kind}.pem`, `${kind}.key`].map((name) => path.join(directory, name))
  const server = new Talker(command, [...flags, path.join(__dirname, 'server.cjs'), implementation.module, ...files])
  try {
    return measure.figure(await take(server, measure, path.join(directory, 'ca.pem')))
  } finally {
    await server.end()
  }
}

/** What a measure of a server came to. */
async function take (server, measure, ca) {
  const { port } = await server.next()
  const peer = (count) => new Talker(load, ['load', measure.load, measure.groups ?? 'x25519', `127.0.0.1:${port}`, ca, String(count)])
  const warm = peer(measure.warmUp ?? Math.max(32, Math.round(measure.count / 320) * 32))
  await warm.next()
  await warm.end()
  const before = measure.memory ? await server.ask('memory') : null
  await server.ask('begin')
  const client = peer(measure.count)
  const { seconds } = await client.next()
  const result = await server.ask('end')
  const grown = before && difference(await server.ask('memory'), before)
  await client.end()
  return { ...result, seconds, grown, count: measure.count }
}

function difference (after, before) {
  return { rss: after.rss - before.rss, heapUsed: after.heapUsed - before.heapUsed }
}

/** A peer that cannot do what is measured has no figure; that nodetls cannot is a failure. */
async function attempt (directory, implementation, measure) {
  try {
    return await turn(directory, implementation, measure)
  } catch (error) {
    if (implementation.module === PACKAGE) throw error
    console.error(`${implementation.name}: ${error.message}`)
    return NaN
  }
}

const median = (figures) => {
  const sorted = [...figures].sort((a, b) => a - b)
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.floor(sorted.length / 2)]) / 2
}

async function row (directory, measure) {
  const rounds = []
  for (let round = 0; round < ROUNDS; round++) {
    const figures = []
    for (const implementation of implementations) figures.push(await attempt(directory, implementation, measure))
    rounds.push(figures)
  }
  const column = (index) => median(rounds.map((figures) => figures[index]))
  const ratio = median(rounds.map(([ours, theirs]) => ours / theirs))
  const met = measure.bar === undefined || quick ? null : measure.more ? ratio >= measure.bar : ratio <= measure.bar
  return { measure: measure.name, unit: measure.unit, figures: implementations.map((_, index) => column(index)), ratio, bar: measure.bar ?? null, more: Boolean(measure.more), met }
}

function print (rows) {
  const lines = [['measure', 'unit', ...implementations.map(({ name }) => name), 'ratio', 'bar']]
  for (const { measure, unit, figures, ratio, bar, more, met } of rows) {
    const verdict = bar === null ? '' : `${more ? '≥' : '≤'} ${bar}${met === null ? '' : met ? ' OK' : ' MISSED'}`
    lines.push([measure, unit, ...figures.map((figure) => figure.toFixed(figure < 100 ? 1 : 0)), ratio.toFixed(2), verdict])
  }
  const widths = lines[0].map((_, index) => Math.max(...lines.map((line) => line[index].length)))
  for (const line of lines) console.log(line.map((cell, index) => cell.padEnd(widths[index])).join('  ').trimEnd())
  if (quick) console.log('\nA quick run: everything works, but the figures mean nothing.')
}

async function main () {
  if (!load) throw new Error('NODETLS_LOAD has to name the program of the clients; `cargo xtask bench --npm` does it')
  if (!implementations.some(({ module }) => module === PACKAGE)) throw new Error('no runtimes are installed here; `npm ci` does it')
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'nodetls-bench-'))
  try {
    makeCertificates(directory)
    const rows = []
    for (const measure of measures) {
      console.error(`measuring: ${measure.name}`)
      rows.push(await row(directory, measure))
    }
    if (process.argv.includes('--json')) console.log(JSON.stringify({ implementations, rows }))
    else print(rows)
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
