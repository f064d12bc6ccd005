'use strict'

// Two connections of the addon in memory, driven as lib/ drives them, but without sockets.

const native = require('../../lib/generated')
const { ca, certificate } = require('../fixtures')

/** A context for a server. */
function serverContext (options = {}) {
  const { cert, key } = certificate()
  return native.NativeContext.create({ cert: [cert], key: [{ pem: key }], ca: [ca().cert], ...options })
}

/** A context for a client. */
function clientContext (options = {}) {
  return native.NativeContext.create({ ca: [ca().cert], ...options })
}

/** The number of bytes in what `read` gives, as lib/engine.js has it: 0 for none now, -1 and -2 at the end. */
function bytesRead (result) {
  return result % 2 ** 24 - 2
}

class Pair {
  constructor ({ client = {}, server = {}, context = {}, clientContextOptions = {} } = {}) {
    this.answers = {}
    this.events = { client: [], server: [] }
    this.client = native.NativeConnection.client(clientContext(clientContextOptions),
      { servername: 'localhost', rejectUnauthorized: true, questions: [], ...client })
    const config = native.NativeServerConfig.create({ requestCert: false, rejectUnauthorized: true, questions: [], ...server })
    this.server = native.NativeConnection.server(serverContext(context), config)
  }

  /** Moves events and bytes until nothing moves. */
  drive () {
    for (let moved = true; moved;) {
      moved = false
      for (const [side, from, to] of [['client', this.client, this.server], ['server', this.server, this.client]]) {
        for (const event of from.poll() ?? []) {
          moved = true
          this.events[side].push(event)
          if (event.question) this.answer(from, event)
        }
        const bytes = from.transmit()
        if (bytes) {
          moved = true
          to.receive(bytes, 0, bytes.length)
        }
      }
    }
    return this
  }

  answer (connection, event) {
    const answer = this.answers[event.type]
    if (answer) answer(connection, event)
    else connection.decline()
  }

  types (side) {
    return this.events[side].map(({ type }) => type)
  }

  failure (side) {
    return this.events[side].find(({ type }) => type === 'failed')?.error
  }

  /** Sends text from one to the other and gives what arrived. */
  send (from, to, text) {
    const bytes = Buffer.from(text)
    from.write(bytes, 0, bytes.length)
    this.drive()
    const target = Buffer.alloc(64 * 1024)
    const count = bytesRead(to.read(target, 0))
    return count > 0 ? target.toString('utf8', 0, count) : count
  }
}

module.exports = { bytesRead, Pair, clientContext, native, serverContext }
