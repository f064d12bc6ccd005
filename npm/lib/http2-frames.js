'use strict'

// What lies between a session of http2 and our socket: frames go up one by one.
//
// Node.js's sessions rely on being called by the system: what one frame has made due (`process.nextTick`, promises) is done
// before they see the next. Called from JavaScript they would go through all frames of a chunk first; a program would hear of
// a stream when that has already been closed. So a frame that changes more than the data of its stream is the last one of
// its turn. What comes after it waits in the socket, which has not ended while something waits.

const { EventEmitter } = require('node:events')

/** RFC 9113 §3.4: what a client says before its first frame. */
const PREFACE = 24
/** RFC 9113 §4.1. */
const HEADER = 9
const DATA = 0
const END_STREAM = 1

/** A stream, as far as Node.js's stream sockets look at one. */
class Frames extends EventEmitter {
  /**
   * @param {any} socket
   * @param {boolean} isServer
   */
  constructor (socket, isServer) {
    super()
    this.socket = socket
    /** What is left of this frame. */
    this.left = isServer ? PREFACE : 0
    /** So much of the next header is known. */
    this.known = 0
    this.header = Buffer.alloc(HEADER)
    this.isLast = false
    this.paused = true
    this.waits = false
    socket.on('readable', () => this.proceed())
    for (const name of ['end', 'error', 'close']) socket.on(name, (...values) => this.emit(name, ...values))
  }

  pause () {
    this.paused = true
  }

  resume () {
    this.paused = false
    this.wait()
  }

  /** Goes on in the event loop's next round. */
  wait () {
    if (this.waits) return
    this.waits = true
    setImmediate(() => {
      this.waits = false
      this.proceed()
    })
  }

  proceed () {
    if (this.paused || this.waits || this.socket.destroyed) return
    const chunk = this.socket.read()
    if (chunk === null) return
    const end = this.endOfTurn(chunk)
    if (end < chunk.length) this.socket.unshift(chunk.subarray(end))
    this.wait()
    this.emit('data', chunk.subarray(0, end))
  }

  /** How much of the chunk may be seen in one turn. */
  endOfTurn (chunk) {
    let start = 0
    while (start < chunk.length) {
      if (this.left === 0) start += this.readHeader(chunk, start)
      const taken = Math.min(this.left, chunk.length - start)
      this.left -= taken
      start += taken
      if (this.left === 0 && this.known === 0 && this.isLast) {
        this.isLast = false
        return start
      }
    }
    return start
  }

  /** Takes of the header what is there; how much that was. */
  readHeader (chunk, start) {
    const taken = chunk.copy(this.header, this.known, start, start + HEADER - this.known)
    this.known += taken
    if (this.known < HEADER) return taken
    this.known = 0
    this.left = this.header.readUIntBE(0, 3)
    this.isLast = this.header[3] !== DATA || (this.header[4] & END_STREAM) !== 0
    return taken
  }

  write (...words) {
    return this.socket.write(...words)
  }

  end (...words) {
    return this.socket.end(...words)
  }

  cork () {
    this.socket.cork()
  }

  uncork () {
    this.socket.uncork()
  }

  destroy (error) {
    this.socket.destroy(error)
  }
}

module.exports = { Frames }
