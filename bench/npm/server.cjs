// The server of one measure, in whichever JavaScript runtime starts it.
//
//   server.cjs MODULE CERT KEY
//
// MODULE is what to require: `tls`, or the path of the package. Prints its port; then each line on the standard input
// is a command: `begin` starts a measurement, `end` prints what it came to, `memory` collects garbage and prints what is
// left. The standard input's end is its own.
'use strict'

const fs = require('node:fs')
const { performance } = require('node:perf_hooks')
const readline = require('node:readline')

const [module_, cert, key] = process.argv.slice(2)
const tls = require(module_)

/** What is sent on `d`, a piece at a time. */
const PIECE = Buffer.alloc(64 * 1024, 'nodetls')
/** How often the clock of the event loop should tick, in milliseconds. */
const TICK = 10

const server = tls.createServer({
  cert: fs.readFileSync(cert),
  key: fs.readFileSync(key),
  ciphers: 'TLS_AES_128_GCM_SHA256'
}, (socket) => {
  socket.setNoDelay(true)
  // A client that leaves is no failure of what is measured.
  socket.on('error', () => {})
  socket.once('data', (first) => begin(socket, first))
})

/** The first byte of a connection says what it is about; see bench/src/load.rs. */
function begin (socket, first) {
  const what = String.fromCharCode(first[0])
  if (what === 'h') socket.write('!')
  if (what === 'e') echo(socket, first.subarray(1))
  if (what === 'd' || what === 'u') withCount(socket, first.subarray(1), what === 'd' ? down : up)
}

function echo (socket, rest) {
  if (rest.length > 0) socket.write(rest)
  socket.on('data', (data) => socket.write(data))
}

/** Waits for the eight bytes of the count. */
function withCount (socket, bytes, then) {
  if (bytes.length < 8) return socket.once('data', (more) => withCount(socket, Buffer.concat([bytes, more]), then))
  then(socket, Number(bytes.readBigUInt64BE(0)), bytes.length - 8)
}

function down (socket, count) {
  let left = count
  const send = () => {
    while (left > 0) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE
      left -= piece.length
      if (!socket.write(piece)) return
    }
  }
  socket.on('drain', send)
  socket.resume()
  send()
}

function up (socket, count, received) {
  const take = () => { if (received >= count) socket.write('!') }
  socket.on('data', (data) => {
    received += data.length
    take()
  })
  take()
}

/** Seconds of processor time that the thread which runs JavaScript has had; Linux knows. */
function mainThread () {
  return Number(fs.readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e9
}

let since
let mainSince
const delays = []
let last = performance.now()
setInterval(() => {
  const now = performance.now()
  // A long delay is the delay of every tick that should have come meanwhile, not of one.
  for (let delay = Math.max(0, now - last - TICK); delay >= 0; delay -= TICK) delays.push(delay)
  last = now
}, TICK)

const commands = {
  begin () {
    delays.length = 0
    last = performance.now()
    since = process.cpuUsage()
    mainSince = mainThread()
    say({ begun: true })
  },
  end () {
    const { user, system } = process.cpuUsage(since)
    delays.sort((a, b) => a - b)
    const delay = delays[Math.floor(delays.length * 0.99)] ?? 0
    say({ cpu: (user + system) / 1e6, main: mainThread() - mainSince, delay })
  },
  // Never while time is measured: to collect all garbage while no connection is open costs an engine the code that it has
  // compiled for connections, too.
  memory () {
    if (globalThis.gc) globalThis.gc()
    const { rss, heapUsed } = process.memoryUsage()
    say({ rss, heapUsed })
  }
}

function say (what) {
  process.stdout.write(JSON.stringify(what) + '\n')
}

server.listen(0, '127.0.0.1', () => say({ port: server.address().port }))
readline.createInterface({ input: process.stdin })
  .on('line', (line) => commands[line]())
  .on('close', () => process.exit(0))
