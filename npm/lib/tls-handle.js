'use strict'

// What stands in `socket._handle` of a TLSSocket: net.Socket, and packages that look inside, find there what they
// would find on a libuv handle. Everything is passed on to the transport.

const net = require('node:net')
const { fromNative } = require('./errors')
const { standIn } = require('./stream-socket')
const { kNative } = require('./symbols')

class TLSHandle {
  // Not for whoever prints a handle.
  #socket

  /**
   * @param {any} stream the transport, or null where there has been none
   * @param {any} [socket] whose handle it is
   */
  constructor (stream, socket) {
    this.stream = stream
    this.#socket = socket
    this.reading = false
    /** Plaintext. */
    this.bytesRead = 0
    this.bytesWritten = 0
    this.onread = null
    this.isClosing = false
    /** @type {(() => void) | null} */
    this.beforeClose = null
  }

  get fd () {
    return this.stream?._handle?.fd ?? -1
  }

  /** Of connections over streams that are no sockets. */
  get _parentWrap () {
    return this.stream instanceof net.Socket ? undefined : standIn(this.stream)
  }

  /** What there is against the peer's certificate, or null: `mysql` asks for it after 'secure'. */
  verifyError () {
    const objection = this.#socket?.[kNative]?.authorizationError()
    return objection ? fromNative(objection) : null
  }

  getAsyncId () {
    return this.stream._handle?.getAsyncId?.() ?? 0
  }

  getProviderType () {
    return 0
  }

  getpeername (out) {
    const { remoteAddress, remotePort, remoteFamily } = this.stream
    if (remoteAddress === undefined) return -1
    Object.assign(out, { address: remoteAddress, port: remotePort, family: remoteFamily })
    return 0
  }

  getsockname (out) {
    const address = this.stream.address?.()
    if (address?.address === undefined) return -1
    Object.assign(out, address)
    return 0
  }

  setNoDelay (enable) {
    this.stream.setNoDelay?.(enable)
    return 0
  }

  setKeepAlive (enable, delaySeconds) {
    this.stream.setKeepAlive?.(enable, delaySeconds * 1000)
    return 0
  }

  ref () {
    this.stream.ref?.()
  }

  unref () {
    this.stream.unref?.()
  }

  hasRef () {
    return this.stream._handle?.hasRef?.() ?? true
  }

  readStart () {
    this.reading = true
    return 0
  }

  readStop () {
    this.reading = false
    return 0
  }

  setBlocking () {
    return 0
  }

  /** Closes the transport; `done` is called when that is done. */
  close (done) {
    this.isClosing = true
    this.finish(done, () => this.stream?.destroy?.())
  }

  /** As `close`, with a reset where the transport is TCP. */
  reset (done) {
    this.isClosing = true
    this.finish(done, () => this.stream.resetAndDestroy ? this.stream.resetAndDestroy() : this.stream.destroy())
    return 0
  }

  finish (done, begin) {
    const { stream } = this
    const closed = () => {
      this.beforeClose?.()
      done?.()
    }
    // Other streams do not always tell that they have closed.
    if (stream instanceof net.Socket && !stream.closed) stream.once('close', closed)
    // As late as libuv would say it: after what the destroyed socket still has to tell.
    else setImmediate(closed)
    // Whoever closes a connection does not want to hear how the transport took it.
    stream?.on('error', () => {})
    begin()
  }
}

module.exports = { TLSHandle }
