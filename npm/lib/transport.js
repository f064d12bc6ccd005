'use strict'

// What carries the ciphertext of a connection: a net.Socket, or any Duplex.
//
// A transport gives chunks to `onchunk(chunk, length)` until that returns false (then `resume()` goes on), tells of its end by
// `onend()` and of its failure by `onclose(error)`, and takes writes. It knows nothing of TLS.

const net = require('node:net')
const { Duplex } = require('node:stream')

/**
 * @typedef {object} Listener
 * @property {(chunk: Uint8Array, length: number) => boolean} onchunk takes ciphertext; false: no more for now
 * @property {() => void} onend the peer's side has ended
 * @property {(error: Error | null) => void} onclose nothing more will come or go
 */

/** Over any Duplex, net.Socket included. */
class StreamTransport {
  /**
   * @param {Duplex} stream
   * @param {Listener} listener
   */
  constructor (stream, listener) {
    /** @type {any} */
    this.stream = stream
    this.listener = listener
    this.isSocket = stream instanceof net.Socket && /** @type {any} */ (stream)._handle instanceof Object && !/** @type {any} */ (stream).encrypted
    this.error = null
    this.closed = false
    this.listeners = {
      data: (chunk) => { if (!listener.onchunk(chunk, chunk.length)) stream.pause() },
      end: () => listener.onend(),
      error: (error) => { this.error = error },
      close: () => this.finish()
    }
    for (const [name, handler] of Object.entries(this.listeners)) stream.on(name, handler)
    if (stream.destroyed) process.nextTick(() => this.finish())
  }

  finish () {
    if (this.closed) return
    this.closed = true
    this.listener.onclose(this.error ?? null)
  }

  /** Goes on reading. */
  resume () {
    if (!this.stream.destroyed) this.stream.resume()
  }

  /** Stops reading. */
  pause () {
    this.stream.pause()
  }

  /**
   * @param {Buffer} ciphertext
   * @param {(error?: Error | null) => void} done
   */
  write (ciphertext, done) {
    const { stream } = this
    if (stream.destroyed || stream.writableEnded) return process.nextTick(done, this.error)
    // Nobody else writes to a socket below; past its queue the way is shorter.
    if (this.isSocket && !stream.connecting && stream.writableLength === 0) stream._write(ciphertext, 'buffer', done)
    else stream.write(ciphertext, done)
  }

  /** Ends this side. */
  end (done) {
    if (this.stream.destroyed || this.stream.writableEnded) return process.nextTick(done)
    this.stream.end(done)
  }

  destroy (error) {
    this.stream.destroy(error)
  }

  /** Lets the stream go without touching it. */
  detach () {
    for (const [name, handler] of Object.entries(this.listeners)) this.stream.removeListener(name, handler)
  }
}

/** How many bytes are read at a time where the buffer is our own. */
const READ_SIZE = 64 * 1024

/**
 * Options for a net.Socket that reads into one buffer again and again, instead of making a new one for each chunk.
 * `current` holds the transport once there is one.
 */
function readInto () {
  const slot = { transport: null }
  const onread = {
    buffer: sharedBuffer(),
    callback: (length, buffer) => slot.transport === null || slot.transport.take(buffer, length)
  }
  return { slot, onread }
}

let shared = null

/** One for all sockets: what is in it has been taken when the callback returns. */
function sharedBuffer () {
  shared ??= Buffer.allocUnsafeSlow(READ_SIZE)
  return shared
}

/**
 * Has an accepted socket read into the shared buffer too, where this Node.js keeps the option for that as we know it;
 * otherwise undefined, and the socket's `data` events serve.
 */
function readIntoShared (stream) {
  const handle = stream._handle
  if (stream.constructor !== net.Socket || typeof handle?.useUserBuffer !== 'function' || handle.reading) return undefined
  const symbols = Object.getOwnPropertySymbols(stream)
  const [buffer, callback] = ['kBuffer', 'kBufferCb'].map((name) => symbols.find(({ description }) => description === name))
  if (!buffer || !callback || stream.listenerCount('data') > 0 || stream.readableLength > 0) return undefined
  const { slot, onread } = readInto()
  stream[buffer] = onread.buffer
  stream[callback] = onread.callback
  handle.useUserBuffer(onread.buffer)
  return slot
}

/** Over a net.Socket that was made with the options of `readInto`. */
class BufferTransport extends StreamTransport {
  constructor (socket, listener, slot) {
    super(socket, listener)
    slot.transport = this
  }

  take (buffer, length) {
    return this.listener.onchunk(buffer, length)
  }

  resume () {
    // A socket with a buffer of its own is started again by reading.
    if (!this.stream.destroyed) this.stream.resume()
  }
}

/** The transport that fits a stream. */
function transportFor (stream, listener, slot) {
  return slot ? new BufferTransport(stream, listener, slot) : new StreamTransport(stream, listener)
}

/** Whether something is a stream that can carry a connection. */
function isDuplex (value) {
  return value instanceof net.Socket || value instanceof Duplex ||
    (typeof value?.write === 'function' && typeof value?.on === 'function' && typeof value?.pause === 'function')
}

module.exports = { isDuplex, readInto, readIntoShared, transportFor }
