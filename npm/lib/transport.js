'use strict'

// What carries the ciphertext of a connection: a net.Socket, or any Duplex.
//
// A transport gives chunks to `onchunk(chunk, length)` until that returns false (then `resume()` goes on), tells of its end by
// `onend()` and of its failure by `onclose(error)`, and takes writes. It knows nothing of TLS.

const net = require('node:net')
const { Duplex } = require('node:stream')

const { codes } = require('./errors')
const { kReader } = require('./symbols')

/**
 * @typedef {object} Listener
 * @property {(chunk: Uint8Array, length: number) => boolean} onchunk takes ciphertext; false: no more for now
 * @property {() => void} onend the peer's side has ended
 * @property {(error: Error | null) => void} onclose nothing more will come or go
 */

/** How much ciphertext is handed over at a time: a little more than the connection makes before it wants it to be sent. */
const BUFFER_SIZE = 96 * 1024
/** So many buffers are kept at most. */
const BUFFERS = 16

/** Buffers that the system has taken everything from. @type {Buffer[]} */
const buffers = []

function giveBack (buffer) {
  if (buffers.length < BUFFERS) buffers.push(buffer)
}

let stage = null

/** For ciphertext that is copied at once. */
function staging () {
  return (stage ??= Buffer.allocUnsafeSlow(BUFFER_SIZE))
}

/** Over any Duplex, net.Socket included. */
class StreamTransport {
  /**
   * @param {Duplex} stream
   * @param {Listener} listener
   * @param {{ transport: StreamTransport | null }} [slot]
   */
  constructor (stream, listener, slot) {
    /** @type {any} */
    this.stream = stream
    this.listener = listener
    /** The system takes what is written, and nobody else. */
    this.isSocket = stream.constructor === net.Socket && /** @type {any} */ (stream)._handle instanceof Object
    this.error = null
    this.closed = false
    this.ended = false
    this.readsIntoBuffer = slot !== undefined
    if (slot) slot.transport = this
    // What it had read before it was given to us.
    if (!slot || stream.readableLength > 0) stream.on('data', (chunk) => this.ondata(chunk))
    stream.on('end', () => listener.onend())
    // Not every stream closes after an error.
    stream.on('error', (error) => this.finish(error))
    if (this.isSocket) this.keepEnds()
  }

  /**
   * What the socket reads to its end, be it an error, is told to the connection alone. Node.js's own takes the handle of the
   * socket, which then hears of nothing until it is destroyed; ours would end, break and close by itself before the peer's
   * last words have been understood, and programs (`mysql2`, `pg`) still listen to it.
   */
  keepEnds () {
    const { stream } = this
    const { push, destroy } = stream
    stream.push = (chunk, encoding) => {
      // What it had read before it was given to us comes first.
      if (chunk !== null || stream.readableLength > 0) return push.call(stream, chunk, encoding)
      this.listener.onend()
      return false
    }
    stream.destroy = (error, done) => {
      if (error?.syscall !== 'read' || this.closed) return destroy.call(stream, error, done)
      this.finish(error)
      return stream
    }
  }

  ondata (chunk) {
    if (!(chunk instanceof Uint8Array)) return this.finish(codes.ERR_STREAM_WRAP())
    if (!this.listener.onchunk(chunk, chunk.length)) this.stream.pause()
  }

  finish (error) {
    if (this.closed) return
    this.closed = true
    this.error = error
    this.listener.onclose(error)
  }

  /** Goes on reading. */
  resume () {
    const { stream } = this
    // A socket that was accepted reads already.
    if (stream.destroyed || (this.readsIntoBuffer && stream._handle?.reading && stream.readableLength === 0)) return
    stream.resume()
  }

  /** Stops reading. */
  pause () {
    this.stream.pause()
  }

  /** Nothing more can be written. */
  get isOver () {
    return this.ended || this.stream.destroyed || this.stream.writableEnded
  }

  /** Memory for what is written next. */
  buffer () {
    // Who takes a chunk from a stream may keep it.
    return this.isSocket ? buffers.pop() ?? Buffer.allocUnsafeSlow(BUFFER_SIZE) : staging()
  }

  /**
   * Sends the first bytes of what `buffer` has given, and takes that back.
   * @param {Buffer} buffer
   * @param {number} length
   * @param {(error?: Error | null) => void} [done]
   */
  send (buffer, length, done) {
    const { stream, isSocket } = this
    if (length === 0 || this.isOver) {
      if (isSocket) giveBack(buffer)
      if (done) process.nextTick(done, length === 0 ? undefined : this.error)
      return
    }
    const ciphertext = buffer.subarray(0, length)
    if (!isSocket) return stream.write(Buffer.from(ciphertext), done)
    const written = (error) => {
      giveBack(buffer)
      done?.(error)
    }
    // Nobody else writes to a socket below; past its queue the way is shorter.
    if (!stream.connecting && stream.writableLength === 0) stream._write(ciphertext, 'buffer', written)
    else stream.write(ciphertext, written)
  }

  /** Ends this side. */
  end (done) {
    const { stream } = this
    if (this.isOver) return process.nextTick(done)
    this.ended = true
    // As in Node.js, a socket below does not finish: it is destroyed with the one above.
    if (this.isSocket && !stream.connecting && stream.writableLength === 0) stream._final(done)
    else stream.end(done)
  }

  destroy (error) {
    this.stream.destroy(error)
  }
}

/** How many bytes are read at a time where the buffer is our own. */
const READ_SIZE = 64 * 1024

/**
 * Options for a net.Socket that reads into one buffer again and again, instead of making a new one for each chunk.
 * `current` holds the transport once there is one.
 */
function readInto () {
  /** @type {{ transport: StreamTransport | null }} */
  const slot = { transport: null }
  const onread = {
    buffer: sharedBuffer(),
    callback: (length, buffer) => slot.transport === null || slot.transport.listener.onchunk(buffer, length)
  }
  return { slot, onread }
}

let shared = null

/** One for all sockets: what is in it has been taken when the callback returns. */
function sharedBuffer () {
  shared ??= Buffer.allocUnsafeSlow(READ_SIZE)
  return shared
}

/** By what a net.Socket keeps the option `onread`, once one has been seen: two symbols, or null where there are none. */
let keysOfOnread

function findKeysOfOnread (stream) {
  const symbols = Object.getOwnPropertySymbols(stream)
  const keys = ['kBuffer', 'kBufferCb'].map((name) => symbols.find(({ description }) => description === name))
  return keys.includes(undefined) ? null : keys
}

/**
 * Has an accepted socket read into the shared buffer too, where this Node.js keeps the option for that as we know it;
 * otherwise undefined, and the socket's `data` events serve.
 */
function readIntoShared (stream) {
  if (kReader in stream) return readPlaintextOf(stream)
  const handle = stream._handle
  if (stream.constructor !== net.Socket || typeof handle?.useUserBuffer !== 'function') return undefined
  keysOfOnread ??= findKeysOfOnread(stream)
  if (keysOfOnread === null || !(keysOfOnread[0] in stream)) return undefined
  const { slot, onread } = readInto()
  const [buffer, callback] = keysOfOnread
  stream[buffer] = onread.buffer
  stream[callback] = onread.callback
  handle.useUserBuffer(onread.buffer)
  return slot
}

/** TLS in TLS: what a socket of ours below reads does not go through its stream either. */
function readPlaintextOf (socket) {
  /** @type {{ transport: StreamTransport | null }} */
  const slot = { transport: null }
  socket[kReader] = {
    take: (plaintext) => slot.transport === null ? socket.push(plaintext) : slot.transport.listener.onchunk(plaintext, plaintext.length)
  }
  return slot
}

/** Whether a stream is a socket that has no connection yet. */
function isUnconnected (stream) {
  return !stream.destroyed && (Boolean(stream.connecting) || (stream instanceof net.Socket && stream.pending))
}

/** Whether something is a stream that can carry a connection. */
function isDuplex (value) {
  return value instanceof net.Socket || value instanceof Duplex ||
    (typeof value?.write === 'function' && typeof value?.on === 'function' && typeof value?.pause === 'function')
}

module.exports = { StreamTransport, isDuplex, isUnconnected, readInto, readIntoShared }
