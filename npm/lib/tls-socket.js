// @ts-nocheck: functions that are classes, as Node.js's are; the checker takes `this` in them for something else
'use strict'

// TLSSocket: a net.Socket whose bytes go through a connection of the addon, over another stream.
//
// It owns no handle of libuv. Its life: made, given a stream (`_carry`), connected, secure (`engineSecure`), closed. The
// engine calls the methods that begin with `engine`.

const net = require('node:net')
const { addAbortSignal } = require('node:stream')

const { createConnection } = require('./connection-options')
const { wantsKeyLog } = require('./defaults')
const { Engine } = require('./engine')
const { codes, connResetException, writeCanceled, writeProtocolError } = require('./errors')
const { announceKeyLog, writeKeyLog } = require('./key-log')
const { installFacts } = require('./socket-facts')
const { checkSocketOptions } = require('./socket-options')
const { TLSHandle } = require('./tls-handle')
const { isDuplex, isUnconnected, readInto, readIntoShared } = require('./transport')
const {
  kBeforehand, kConnectOptions, kConnecting, kEnding, kEngine, kErrorEmitted, kIsStale, kIsStapled, kIsVerified, kIsWanted, kNative,
  kPendingSession, kReader, kReady, kRenegotiating, kStream, kTold, kWaiting
} = require('./symbols')

const DISCONNECTED = 'Client network socket disconnected before secure TLS connection was established'

/** Events of the inner socket that belong to the outer one. */
const PASSED_ON = ['lookup', 'connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout']

/** What net.Socket adds to its options by itself; where they are there already, Node.js 20 is thirty times as fast. */
const OF_EVERY_SOCKET = { allowHalfOpen: false, emitClose: false, autoDestroy: true, decodeStrings: false }

/**
 * @constructor
 * @this {any}
 * @param {any} [socket] what carries the connection
 * @param {any} [options]
 */
function TLSSocket (socket, options) {
  if (!(this instanceof TLSSocket)) return new TLSSocket(socket, options)
  if (socket && !isDuplex(socket)) throw codes.ERR_INVALID_ARG_TYPE('socket', 'stream.Duplex', socket)
  const tlsOptions = { ...options }
  checkSocketOptions(tlsOptions)
  announceKeyLog()
  this[kConnecting] = false
  net.Socket.call(this, {
    ...OF_EVERY_SOCKET,
    allowHalfOpen: socket ? socket.allowHalfOpen : tlsOptions.allowHalfOpen,
    highWaterMark: tlsOptions.highWaterMark,
    readableHighWaterMark: tlsOptions.readableHighWaterMark,
    writableHighWaterMark: tlsOptions.writableHighWaterMark
  })
  prepare(this, tlsOptions)
  if (tlsOptions.onread) this[kReader] = readerOf(this, tlsOptions.onread)
  this[kConnecting] = true
  this.on('error', this._tlsError)
  // Not by net.Socket, of which a signal that has been given already leaves a half.
  if (tlsOptions.signal != null) addAbortSignal(tlsOptions.signal, this)
  if (socket) this._carry(socket)
  if (tlsOptions.pauseOnConnect) this.pause()
  // Also a socket that is paused reads as much as it may hold, and the end.
  this.read(0)
}
Object.setPrototypeOf(TLSSocket.prototype, net.Socket.prototype)
Object.setPrototypeOf(TLSSocket, net.Socket)

/** The fields that programs and packages look at. */
function prepare (socket, tlsOptions) {
  socket._tlsOptions = tlsOptions
  socket._secureEstablished = false
  socket._securePending = false
  socket._newSessionPending = false
  socket._controlReleased = false
  socket._hadError = false
  socket._SNICallback = tlsOptions.SNICallback ?? null
  socket._requestCert = Boolean(tlsOptions.requestCert)
  socket._rejectUnauthorized = tlsOptions.rejectUnauthorized !== false
  socket.secureConnecting = true
  socket.servername = null
  socket.alpnProtocol = null
  socket.authorized = false
  socket.authorizationError = null
  socket.server = tlsOptions.server
  socket.ssl = null
}

/** @type {any} */
const prototype = TLSSocket.prototype

/** What a socket knows of itself at first; each property of its own costs time whenever a socket is made. */
const UNKNOWN = {
  [kConnectOptions]: null,
  [kNative]: null,
  [kEngine]: null,
  [kStream]: null,
  [kPendingSession]: null,
  [kIsVerified]: false,
  [kIsWanted]: false,
  [kIsStale]: false,
  [kIsStapled]: false,
  [kRenegotiating]: null,
  [kWaiting]: null,
  [kEnding]: null,
  [kBeforehand]: null,
  [kErrorEmitted]: false,
  [kTold]: null,
  [kReader]: null
}
for (const key of Reflect.ownKeys(UNKNOWN)) {
  Object.defineProperty(prototype, key, { value: UNKNOWN[key], writable: true, configurable: true })
}

Object.defineProperties(prototype, {
  encrypted: { value: true, writable: true, enumerable: true, configurable: true },
  autoSelectFamilyAttemptedAddresses: {
    get () { return this[kStream]?.autoSelectFamilyAttemptedAddresses },
    configurable: true
  },
  connecting: {
    get () {
      if (this.destroyed) return false
      return this[kStream] ? isUnconnected(this[kStream]) : this[kConnecting] ?? false
    },
    // net.Socket writes it; what counts is the stream's.
    set (value) { this[kConnecting] = Boolean(value) },
    enumerable: true,
    configurable: true
  }
})

installFacts(prototype)

// ---- the stream below ----

/** From now on `stream` carries the connection. `slot`: where it reads into a buffer of ours. */
prototype._carry = function (stream, slot) {
  this[kStream] = stream
  // A connection that this socket has made itself has no parent.
  this._parent = stream instanceof net.Socket && slot === undefined ? stream : null
  this._handle = new TLSHandle(stream, this)
  this.ssl = this._handle
  // Once the stream is gone, so is this: whoever listens to the stream from now on finds it destroyed.
  stream.on('error', (error) => this._streamFailed(error))
  stream.on('close', () => this._streamClosed())
  if (isUnconnected(stream)) return void stream.once('connect', () => this._connected(slot))
  // Nobody will hear of its closing any more.
  if (stream.destroyed) process.nextTick(() => this.engineTransportClosed(this._left(), false))
  else this._begin(slot)
}

prototype._connected = function (slot) {
  if (this.destroyed) return
  this._unrefTimer()
  this.emit('connect')
  // Of a socket that was given Node.js's own says only that much.
  if (slot) this.emit('ready')
  this._begin(slot)
}

prototype._streamFailed = function (error) {
  if (this[kEngine]?.transport || this.destroyed) return
  this.destroy(error)
}

prototype._streamClosed = function () {
  const engine = this[kEngine]
  if (engine === null) this.destroy()
  // An engine that has yet to begin looks at the stream by itself.
  else engine.transport?.finish(null)
}

/** The stream is connected: the handshake begins, unless it has to wait for more options. */
prototype._begin = function (slot) {
  if (this.destroyed || this[kEngine]) return
  try {
    this._makeConnection()
  } catch (error) {
    return this.destroy(error)
  }
  slot ??= readIntoShared(this[kStream])
  const engine = new Engine(this[kNative], this, Boolean(this._tlsOptions.isServer))
  this[kEngine] = engine
  engine.wanted = this[kIsWanted]
  engine.ending = this[kEnding]
  const keyLog = wantsKeyLog(this)
  process.nextTick(() => {
    if (this.destroyed) return
    if (this[kStream].destroyed) return this.destroy(this[kStream].errored)
    if (this[kIsStale] || wantsKeyLog(this) !== keyLog) engine.connection = this._makeConnection()
    if (this._tlsOptions.enableTrace) this.enableTrace()
    engine.start(this[kStream], slot)
  })
}

prototype._makeConnection = function () {
  const connection = this[kNative] = createConnection(this)
  for (const wish of this[kBeforehand] ?? []) wish(connection)
  return connection
}

/** Options that the constructor of the socket below takes. */
function ofTransport ({ noDelay, keepAlive, keepAliveInitialDelay, blockList, typeOfService }) {
  return { noDelay, keepAlive, keepAliveInitialDelay, blockList, typeOfService }
}

/**
 * Connects, and then does the handshake. As net.Socket's.
 * @param {...any} words
 */
prototype.connect = function (...words) {
  if (this.destroyed) return this
  const { slot, onread } = readInto()
  const [options, callback] = /** @type {any} */ (net)._normalizeArgs(words)
  const inner = new net.Socket({ ...OF_EVERY_SOCKET, ...ofTransport(options), allowHalfOpen: this.allowHalfOpen, onread })
  if (typeof callback === 'function') this.once('connect', callback)
  for (const name of PASSED_ON) inner.on(name, (...values) => this.emit(name, ...values))
  // Connecting first: the handshake's options may still be set until there is a connection.
  inner.connect(options)
  // The name that is being looked up, where there is one; packages read it.
  if (inner._host) this._host = inner._host
  this._carry(inner, slot)
  return this
}

// ---- plaintext ----

prototype._read = function () {
  if (this[kEngine]) this[kEngine].resume()
  else this[kIsWanted] = true
}

/** Where somebody takes plaintext directly nothing is pushed, and so nothing is asked for either. */
prototype.resume = function () {
  if (this[kReader] && !this.connecting) this._read()
  return net.Socket.prototype.resume.call(this)
}

prototype.pause = function () {
  if (this[kReader]) this[kEngine]?.pause()
  return net.Socket.prototype.pause.call(this)
}

prototype._write = function (chunk, encoding, callback) {
  this._send([typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk], callback)
}

prototype._writev = function (entries, callback) {
  this._send(joined(entries.map(({ chunk, encoding }) => typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk)), callback, true)
}

/** The plaintext of a record at most, in bytes. */
const FULL_RECORD = 16 * 1024

/** What is smaller than a record goes out with what is beside it. */
function joined (chunks) {
  const groups = []
  let small = []
  const close = () => {
    if (small.length > 0) groups.push(small.length === 1 ? small[0] : Buffer.concat(small))
    small = []
  }
  for (const chunk of chunks) {
    if (chunk.length < FULL_RECORD) {
      small.push(chunk)
    } else {
      close()
      groups.push(chunk)
    }
  }
  close()
  return groups
}

prototype._send = function (chunks, callback, isBurst = false) {
  if (this.destroyed) return process.nextTick(callback, codes.ERR_SOCKET_CLOSED())
  this._unrefTimer()
  if (!this._secureEstablished && this.connecting) return this._sendLater(chunks, callback)
  for (const chunk of chunks) this._handle.bytesWritten += chunk.length
  if (this._secureEstablished) this._sendNow(chunks, callback, isBurst)
  else this[kWaiting] = { chunks, callback }
}

/** Sends when there is a connection, or tells that there will be none. */
prototype._sendLater = function (chunks, callback) {
  // net.Socket counts it as written.
  this._pendingData = chunks.map((chunk) => ({ chunk, encoding: 'buffer' }))
  const onconnect = () => {
    this.off('close', onclose)
    this._pendingData = null
    this._send(chunks, callback)
  }
  const onclose = () => callback(codes.ERR_SOCKET_CLOSED_BEFORE_CONNECTION())
  this.once('connect', onconnect)
  this.once('close', onclose)
}

prototype._sendNow = function (chunks, callback, isBurst = false) {
  const finish = (error) => {
    if (this.destroyed) return callback(writeCanceled())
    this._unrefTimer()
    callback(error ?? null)
  }
  let isNow = true
  this[kEngine].write(chunks, (error) => {
    if (isNow) soon(finish, error, chunks, isBurst)
    else finish(error)
  })
  isNow = false
}

/** So many bytes may be written in one round of the event loop, by whoever goes on writing when something is written. */
const BYTES_OF_A_ROUND = 1024 * 1024
let written = 0

/**
 * Finishes a write that the system has taken at once. As in Node.js that is a little later, so that what the program writes
 * meanwhile goes out in one piece: at the end of this turn, or of the event loop's round where it has written much, or many
 * pieces.
 */
function soon (finish, error, chunks, isBurst) {
  for (const { length } of chunks) written += length
  if (!isBurst && written < BYTES_OF_A_ROUND) return process.nextTick(finish, error)
  written = 0
  setImmediate(finish, error)
}

prototype._final = function (callback) {
  if (this.connecting) return void this.once('connect', () => this._final(callback))
  if (this.destroyed) return callback()
  if (this[kEngine]) this[kEngine].end(() => callback())
  else this[kEnding] = callback
}

prototype._destroy = function (error, callback) {
  this[kConnecting] = false
  this._handle ??= new TLSHandle(null)
  this._endEngine()
  this.ssl = null
  const native = this[kNative]
  net.Socket.prototype._destroy.call(this, error, callback)
  native?.dispose()
}

/** Nothing comes or goes any more; a write that is under way fails when the transport has closed. */
prototype._endEngine = function () {
  const write = this[kEngine]?.dispose()?.done ?? this[kWaiting]?.callback
  this[kWaiting] = null
  if (write) this._handle.beforeClose = () => write(writeCanceled())
}

/** Frees the connection now, and leaves the transport open until the socket is destroyed. */
prototype._destroySSL = function () {
  if (!this.ssl) return
  this._endEngine()
  this.ssl = null
  this[kNative]?.dispose()
}

/** Closes the connection below with a reset, where that is TCP. */
prototype.resetAndDestroy = function () {
  if (!this._handle) return this.destroy(codes.ERR_SOCKET_CLOSED())
  if (!(this[kStream] instanceof net.Socket)) throw codes.ERR_INVALID_HANDLE_TYPE()
  if (this.connecting) this.once('connect', () => this._reset())
  else this._reset()
  return this
}

/** `mysql` begins a handshake by it, that of a socket which it has made; here it has begun. */
prototype._start = function () {}

// ---- what the engine tells ----

prototype.engineTraffic = function () {
  this._unrefTimer()
}

/** Takes plaintext; whether more is wanted. */
prototype.enginePlaintext = function (plaintext) {
  if (this._handle) this._handle.bytesRead += plaintext.length
  return this[kReader] ? this[kReader].take(plaintext) : this.push(plaintext)
}

/** Takes plaintext in the program's own buffer, as much at a time as that holds. */
class ProgramsBuffer {
  constructor (socket, { buffer, callback }) {
    this.socket = socket
    this.buffer = buffer
    this.callback = callback
    this.current = null
    this.prepare()
  }

  /** A program that gives a new buffer for each read is asked for it as soon as the one before has been handed over. */
  prepare () {
    const next = typeof this.buffer === 'function' ? this.buffer() : this.buffer
    if (next instanceof Uint8Array && next.length > 0) this.current = next
  }

  /** Whether more is wanted. */
  take (plaintext) {
    if (this.current === null) return this.socket.push(plaintext)
    let wanted = true
    for (let start = 0; start < plaintext.length;) {
      const { current } = this
      const piece = plaintext.subarray(start, start + current.length)
      current.set(piece)
      start += piece.length
      if (this.callback.call(this.socket, piece.length, current) === false) wanted = false
      this.prepare()
    }
    return wanted
  }
}

/** The option `onread`, or null where it is no such thing, as for net.Socket. */
function readerOf (socket, onread) {
  const { buffer, callback } = onread
  const isOne = typeof callback === 'function' && (typeof buffer === 'function' || buffer instanceof Uint8Array)
  return isOne ? new ProgramsBuffer(socket, onread) : null
}

prototype.engineEnd = function (truncated) {
  if (truncated && this._tlsOptions.rejectTruncated) {
    return this.destroy(codes.ERR_SSL_UNEXPECTED_EOF_WHILE_READING())
  }
  if (this._readableState.ended) return
  this.push(null)
  this.read(0)
  // Where a listener of 'end' throws, the stream does not go on to end this side.
  if (!this.allowHalfOpen) setImmediate(() => { if (this.readableEnded && this.writable) this.end() })
}

prototype.engineSecure = function (alpn, servername) {
  if (this.destroyed) return
  this.alpnProtocol = alpn === null ? false : alpn.toString('latin1')
  this.servername = servername ?? false
  this._secureEstablished = true
  if (this._lacksOcspResponse()) this.emit('OCSPResponse', null)
  this.emit('secure')
  const waiting = this[kWaiting]
  this[kWaiting] = null
  if (waiting) this._sendNow(waiting.chunks, waiting.callback)
}

/** Whether a client has asked for the certificate's status, and the server, which could have, has not told it. */
prototype._lacksOcspResponse = function () {
  const { isServer, requestOCSP } = this._tlsOptions
  if (isServer || !requestOCSP || this[kIsStapled]) return false
  return this.getProtocol() === 'TLSv1.3' || !this.isSessionReused()
}

prototype.engineFailed = function (error, native) {
  if (this.destroyed) return
  const { isServer } = this._tlsOptions
  const leftEarly = native.kind === 'truncated' && !this._secureEstablished
  if (this._hadError) return
  this._hadError = true
  if (leftEarly) return this._endEarly(this._left())
  if (!isServer && !this._secureEstablished && this.writableLength > 0 && error.library === 'SSL routines') error = writeProtocolError(error)
  if (native.kind === 'identity') error.cert = this.getPeerCertificate(true)
  if (native.kind === 'verify' || native.kind === 'identity' || this._objection) this.authorizationError = error.code || error.message
  try {
    // Whoever listens to the server finds the socket alive.
    if (isServer && !this._controlReleased) this._tlsError(error)
  } finally {
    this._fail(error)
  }
}

/** Tells of the error, and then closes, so that the alert goes out and listeners find the socket alive. */
prototype._fail = function (error) {
  const engine = this[kEngine]
  const stream = this[kStream]
  const finish = () => { if (!this.destroyed) this.destroy(error) }
  if (!engine || !stream || stream.destroyed || !stream.writableLength) return finish()
  // The alert is on its way; nobody waits for a peer that does not read.
  const timer = setTimeout(finish, 1000)
  stream.write('', () => {
    clearTimeout(timer)
    finish()
  })
}

/** The peer has gone before the handshake was done: first its end is told, then what that means. */
prototype._endEarly = function (error) {
  const finish = () => { if (!this.destroyed) this.destroy(error) }
  if (this._readableState.ended) return finish()
  // Without an error the other side ends by itself.
  if (error || this.allowHalfOpen) this.once('end', finish)
  this.push(null)
  this.read(0)
}

/** What a peer's leaving means to this side; of a server's sockets its server tells. */
prototype._left = function () {
  return this._tlsOptions.isServer ? null : this._disconnected()
}

prototype._disconnected = function () {
  const options = this[kConnectOptions] ?? {}
  const error = connResetException(DISCONNECTED)
  error.path = options.path
  error.host = options.host
  error.port = options.port
  error.localAddress = options.localAddress
  return error
}

prototype.engineKeylog = function (line) {
  const text = Buffer.concat([line, Buffer.from('\n')])
  writeKeyLog(text)
  this.emit('keylog', text)
}

prototype.engineSession = function (session) {
  if (this[kIsVerified]) this.emit('session', session)
  // Before the server is accepted nobody may see it (CVE-2020-8172).
  else this[kPendingSession] = session
}

prototype.engineOcspResponse = function (response) {
  this[kIsStapled] = true
  this.emit('OCSPResponse', response)
}

prototype.engineTrace = function (text) {
  process.stderr.write(text)
}

prototype.engineRenegotiated = function () {
  const done = this[kRenegotiating]
  this[kRenegotiating] = null
  this.authorized = this[kNative].authorized()
  const error = this[kNative].authorizationError()
  this.authorizationError = error?.code ?? null
  this.emit('secure')
  done?.(null)
}

prototype.engineClientAuthenticated = function () {
  this.engineRenegotiated()
}

/** The transport is gone; `ended`: the peer has ended its side before. */
prototype.engineTransportClosed = function (error, ended) {
  if (this.destroyed) return
  // A transport that was destroyed on this side had no end, and no error either.
  if (error || !ended) return this.destroy(error)
  if (!this._secureEstablished) return this.destroy(this._left())
  if (this[kEngine].endIsDue) return setImmediate(() => this.engineTransportClosed(error, ended))
  // What has been received is still delivered.
  if (!this._readableState.ended || (!this._readableState.endEmitted && this._readableState.length > 0)) {
    this.once('end', () => this.destroy())
  } else {
    setImmediate(() => this.destroy())
  }
}

// ---- errors before the program has the socket ----

prototype._tlsError = function (error) {
  // Told before the socket is destroyed for it, it comes a second time then.
  if (this[kTold] !== error) {
    this[kTold] = error
    this.emit('_tlsError', error)
  }
  return this._controlReleased ? error : null
}

prototype._emitTLSError = function (error) {
  if (this._tlsError(error)) this.destroy(error)
}

/** From now on errors are the program's. */
prototype._releaseControl = function () {
  if (this._controlReleased) return false
  this._controlReleased = true
  this.removeListener('error', this._tlsError)
  return true
}

/**
 * Resolves when the connection is secure, and rejects when it never will be.
 * @returns {Promise<any>}
 */
prototype.ready = function () {
  this[kReady] ??= new Promise((resolve, reject) => {
    if (this._secureEstablished && !this.secureConnecting) return resolve(this)
    if (this.closed) return reject(this.errored ?? this._disconnected())
    const event = this._tlsOptions.isServer ? 'secure' : 'secureConnect'
    this.once(event, () => resolve(this))
    this.once('error', reject)
    this.once('close', () => reject(this._disconnected()))
  })
  return this[kReady]
}

module.exports = { TLSSocket: /** @type {any} */ (TLSSocket) }
