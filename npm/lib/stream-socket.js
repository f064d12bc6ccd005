'use strict'

// A stream with the looks of a socket, as Node.js has one inside: packages (http2-wrapper) take its class from
// `socket._handle._parentWrap` and make sockets of streams by it.

const { Duplex } = require('node:stream')

class JSStreamSocket extends Duplex {
  /** @param {any} stream */
  constructor (stream) {
    super({ allowHalfOpen: stream.allowHalfOpen, autoDestroy: true })
    this.stream = stream
    /** @type {any} */
    this._handle = { getpeername: () => -1, getsockname: () => -1 }
    stream.on('data', (chunk) => { if (!this.push(chunk)) stream.pause() })
    stream.on('end', () => this.push(null))
    stream.on('error', (error) => this.destroy(error))
    stream.on('close', () => this.destroy())
  }

  _read () {
    this.stream.resume()
  }

  _write (chunk, encoding, done) {
    this.stream.write(chunk, encoding, done)
  }

  _final (done) {
    this.stream.end(done)
  }

  _destroy (error, done) {
    this._handle = null
    this.stream.destroy()
    done(error)
  }

  setTimeout () { return this }
  setNoDelay () { return this }
  setKeepAlive () { return this }
  ref () { return this }
  unref () { return this }
}

/** What stands for such a socket where a stream carries a connection without one. */
function standIn (stream) {
  return Object.create(JSStreamSocket.prototype, { stream: { value: stream } })
}

module.exports = { JSStreamSocket, standIn }
