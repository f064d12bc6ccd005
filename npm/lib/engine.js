'use strict'

// Drives one connection of the addon over one transport, for one socket. Bytes, answers and time go in; plaintext and
// events come out, as calls of the socket's methods (`engineSecure`, `engineFailed`, …).

const { AsyncResource } = require('node:async_hooks')

const { fromNative } = require('./errors')
const { answer } = require('./questions')
const { StreamTransport } = require('./transport')
const { afterThisTurn, isItsTurn, takeTurn } = require('./turns')
const { awaitWork } = require('./work')

/** How much plaintext is read at a time. */
const READ_SIZE = 64 * 1024
/** What is left of the memory is used for the next read as long as it is worth it. */
const WORTHWHILE = 16 * 1024

/** Where plaintext is read to next, whosever it is; what has been handed out is never written to again. */
let slab = Buffer.alloc(0)
let slabStart = 0

function makeRoom () {
  if (slab.length - slabStart >= WORTHWHILE) return
  slab = Buffer.allocUnsafeSlow(READ_SIZE)
  slabStart = 0
}

/** So many bytes have been read: they are taken, before anybody else reads. */
function taken (count) {
  slabStart += count
  return slab.subarray(slabStart - count, slabStart)
}

/** What a listener throws is the process's to handle; where that goes on, so does the connection, and so do all others. */
function throwLater (error) {
  process.nextTick(() => { throw error })
}

/** By what `exchange` and `send` multiply the bytes that they have taken in. */
const TAKEN = 2 ** 24
/** By what `read` and `exchange` multiply what the addon says beside: the bits below. */
const FLAGS = 2 ** 46

/** Work is being done by another thread. */
const WORKING = 1
/** The handshake is done. */
const SECURE = 1 << 1
/** There may be events; of a read: more to be read. */
const MORE = 1 << 2
/** There is ciphertext to be sent. */
const OUTPUT = 1 << 3
/** The deadline has changed. */
const DEADLINE = 1 << 4
/** There is no deadline any more. */
const ENDLESS = 1 << 5
/** With SECURE: a protocol was agreed on; the client has asked for a name. */
const ALPN = 1 << 6
const SERVERNAME = 1 << 7
/** Of a read: there may be events. */
const EVENTS = 1 << 6
/** By what `receiveAndGoOn` multiplies the bytes that it has taken in. */
const BITS = 1 << 8
/** Here: plaintext was delivered, and an event was told. */
const DELIVERED = 1 << 8
const TOLD = 1 << 9

class Engine {
  /**
   * @param {any} connection the addon's
   * @param {any} socket whom it tells
   * @param {boolean} waits for the peer to begin
   */
  constructor (connection, socket, waits) {
    this.connection = connection
    this.waits = waits
    this.socket = socket
    /** In whose context (AsyncLocalStorage) the socket's listeners are called, whoever made the connection go on. */
    this.resource = new AsyncResource('TLSWRAP')
    this.transport = null
    this.working = false
    /** Waits for its turn. */
    this.queued = false
    this.ended = false
    /** Plaintext has been delivered since something came in. */
    this.delivered = false
    /** The end of the plaintext will be told in a moment. */
    this.endIsDue = false
    this.failed = false
    /** Whether application data flows. */
    this.isOpen = false
    this.disposed = false
    this.transportEnded = false
    /** The transport's error, or null, when it has closed while work was being done. */
    this.closedWith = undefined
    /** Ciphertext that the connection could not take yet. */
    this.rest = null
    /** Whether the program wants plaintext. */
    this.wanted = false
    this.pendingWrite = null
    /** Called when this side has ended; it ends before the handshake is done. */
    this.ending = null
    /** A part of it is on its way. */
    this.sending = false
    this.timer = null
    /** The program's own error, while the core says that a callback has failed. */
    this.kept = undefined
  }

  /** Begins; a server waits, a client speaks. */
  start (stream, slot) {
    this.transport = new StreamTransport(stream, this, slot)
    this.transport.resume()
    // It has nothing to do yet but to watch the time.
    if (this.waits && this.ending === null) this.setTimer(DEADLINE)
    else this.proceed()
  }

  // ---- what the transport tells; an accepted socket reads in no context at all ----

  onchunk (chunk, length) {
    return this.resource.runInAsyncScope(this.receive, this, chunk, length)
  }

  onend () {
    this.resource.runInAsyncScope(this.endOfTransport, this)
  }

  onclose (error) {
    this.resource.runInAsyncScope(this.closed, this, error)
  }

  // ---- bytes of the peer ----

  receive (chunk, length) {
    if (this.disposed) return false
    this.delivered = false
    if (this.rest) {
      this.rest = Buffer.concat([this.rest, chunk.subarray(0, length)])
      return false
    }
    this.socket.engineTraffic()
    if (this.isOpen && this.wanted && !this.working) return this.exchange(chunk, length)
    if (!this.isOpen && !this.queued && !this.working && isItsTurn()) {
      const result = this.connection.receiveAndGoOn(chunk, length)
      this.keepRest(chunk, Math.floor(result / BITS), length)
      this.goOn(result & (BITS - 1))
    } else {
      this.keepRest(chunk, this.connection.receive(chunk, 0, length), length)
      this.proceed()
    }
    return this.rest === null && this.wantsMore()
  }

  /** Keeps what has not been taken of a chunk, whose memory belongs to the transport. */
  keepRest (chunk, fed, length) {
    if (fed < length) this.rest = Buffer.from(chunk.subarray(fed, length))
  }

  /** The way of application data: in and out in one call of the addon. */
  exchange (chunk, length) {
    makeRoom()
    let result
    try {
      result = this.connection.exchange(chunk, length, slab, slabStart)
    } catch (error) {
      if (error.native) this.fail(error.native)
      return false
    }
    const flags = Math.floor(result / FLAGS)
    result -= flags * FLAGS
    const fed = Math.floor(result / TAKEN)
    const count = (result - fed * TAKEN) - 2
    const plaintext = count > 0 ? taken(count) : null
    this.keepRest(chunk, fed, length)
    if (flags & (DEADLINE | ENDLESS)) this.setTimer(flags)
    // What came before the data is told before it.
    if (flags & EVENTS) this.dispatch()
    if (this.disposed) return false
    if (plaintext !== null) this.deliver(plaintext)
    else if (count < 0) this.endOfPlaintext(count === -2)
    const all = flags & MORE ? flags | this.read() : flags
    // What else there may be is seen to by the loop.
    if (all & (EVENTS | TOLD) || this.rest !== null) this.step()
    else if (all & OUTPUT && !this.disposed) this.transmit()
    return this.rest === null && this.wantsMore()
  }

  wantsMore () {
    return !this.isOpen || this.wanted
  }

  /** Offers again what could not be taken; whether all of it was. */
  offerRest () {
    if (this.rest === null) return true
    const fed = this.connection.receive(this.rest, 0, this.rest.length)
    this.rest = fed < this.rest.length ? this.rest.subarray(fed) : null
    return this.rest === null
  }

  endOfTransport () {
    this.transportEnded = true
    this.delivered = false
    if (this.disposed) return
    if (this.rest === null) this.connection.endOfStream()
    this.proceed()
  }

  closed (error) {
    if (this.disposed) return
    // What the peer has said before it left says more than that it has left.
    if (this.working || this.queued) this.closedWith = error
    else this.socket.engineTransportClosed(error, this.transportEnded)
  }

  // ---- the loop ----

  /** Goes on: with data at once, with a handshake in its turn. */
  proceed () {
    if (this.isOpen) return this.step()
    if (this.queued) return
    this.queued = true
    takeTurn(this.turn, this, undefined, this.resource)
  }

  turn () {
    this.queued = false
    this.goOn()
  }

  /**
   * Goes as far as it can, and tells then that the transport has closed.
   * @param {number} [flags] what the connection has said already
   */
  goOn (flags) {
    if (!this.disposed) this.step(flags)
    if (this.closedWith === undefined || this.working || this.disposed || this.failed) return
    this.socket.engineTransportClosed(this.closedWith, this.transportEnded)
  }

  /**
   * Takes everything as far as it goes.
   * @param {number} [flags] as for `goOn`
   */
  step (flags) {
    if (this.working || this.disposed) return
    for (;;) {
      flags ??= this.connection.goOn()
      if (flags & WORKING) {
        this.working = true
        return awaitWork(this.connection.id, this)
      }
      if (flags & (DEADLINE | ENDLESS)) this.setTimer(flags)
      if (flags & SECURE) this.secure(flags)
      const moved = flags & MORE && !this.disposed ? this.dispatch() : false
      if (this.disposed || this.working) return
      const read = this.read()
      if (this.disposed) return
      const more = this.rest !== null && this.offerMore()
      // What the peer's bytes have led to, tickets and the program's answer, goes out in one piece.
      if ((flags | read) & OUTPUT || moved || more || read & TOLD) this.transmit()
      if (!moved && !more && !(read & TOLD)) break
      flags = undefined
    }
    this.continueWrite()
    if (this.ending !== null) this.endEarly()
  }

  offerMore () {
    const before = this.rest.length
    if (this.offerRest()) {
      if (this.transportEnded) this.connection.endOfStream()
      else if (this.wantsMore()) this.transport?.resume()
    }
    return this.rest === null || this.rest.length < before
  }

  worked () {
    this.working = false
    this.resource.runInAsyncScope(this.isOpen ? this.goOn : this.proceed, this)
  }

  dispatch () {
    const events = this.connection.poll()
    if (events === null) return false
    // A connection that has failed meanwhile waits for no answer.
    const isOver = events.some(({ type }) => type === 'failed')
    for (const event of events) {
      if (this.disposed) break
      if (!event.question) this.tell(event)
      else if (!isOver) answer(this, event)
    }
    // A decision that is still open is nobody's any more.
    if (this.transportEnded && this.rest === null && !this.isOpen && !this.disposed) this.connection.endOfStream()
    return true
  }

  tell (event) {
    switch (event.type) {
      case 'secure': return this.secure(ALPN | SERVERNAME)
      case 'keylog': return this.call('engineKeylog', event.line)
      case 'session': return this.call('engineSession', event.session)
      case 'ocspResponse': return this.call('engineOcspResponse', event.response)
      case 'renegotiated': return this.call('engineRenegotiated')
      case 'clientAuthenticated': return this.call('engineClientAuthenticated')
      case 'trace': return this.call('engineTrace', event.text)
      case 'failed': return this.fail(event.error)
    }
  }

  /** `flags` say what is worth asking for. */
  secure (flags) {
    this.isOpen = true
    const { connection } = this
    const alpn = flags & ALPN ? connection.alpnProtocol() : null
    this.call('engineSecure', alpn, flags & SERVERNAME ? connection.servername() : null)
  }

  /** Calls a method of the socket, whose listeners may throw. */
  call (method, value, other) {
    try {
      return this.socket[method](value, other)
    } catch (error) {
      throwLater(error)
    }
  }

  fail (error) {
    if (this.failed) return
    this.failed = true
    // What is left to be sent is the alert; a transport that does not take it has no right to delay us.
    this.transmit()
    const kept = error.kind === 'callback' ? this.kept : undefined
    this.call('engineFailed', kept !== undefined ? kept : fromNative(error), error)
  }

  // ---- questions ----

  /** The answer has been given; goes on. */
  answered () {
    if (!this.disposed) this.resource.runInAsyncScope(this.step, this)
  }

  /** A callback has failed with this, which is what the program is told. */
  failWith (error) {
    if (this.disposed) return
    this.kept = error
    this.connection.fail(String(error?.message ?? error))
    this.resource.runInAsyncScope(this.step, this)
  }

  // ---- plaintext ----

  /** Reads as long as there is something, and it is wanted; bits that say what came of it. */
  read () {
    let all = 0
    while (this.wanted && !this.ended && !this.failed && this.isOpen && !this.disposed) {
      const flags = this.readOnce()
      all |= flags
      if (!(flags & DELIVERED && flags & MORE)) break
    }
    return all
  }

  readOnce () {
    makeRoom()
    let result
    try {
      result = this.connection.read(slab, slabStart)
    } catch (error) {
      if (error.native) this.fail(error.native)
      return 0
    }
    const flags = Math.floor(result / FLAGS)
    const count = result - flags * FLAGS - 2
    const plaintext = count > 0 ? taken(count) : null
    if (flags & (DEADLINE | ENDLESS)) this.setTimer(flags)
    // What came before the data is told before it.
    const told = flags & EVENTS && this.dispatch() ? TOLD : 0
    if (this.disposed) return flags
    if (plaintext !== null) this.deliver(plaintext)
    else if (count < 0) this.endOfPlaintext(count === -2)
    return flags | told | (plaintext === null ? 0 : DELIVERED)
  }

  deliver (plaintext) {
    this.delivered = true
    this.wanted = this.call('enginePlaintext', plaintext) ?? true
  }

  endOfPlaintext (truncated) {
    if (this.ended) return
    this.ended = true
    if (!this.delivered) return this.call('engineEnd', truncated)
    // As if they came one after the other: what the program does upon the last data, by and by, it does before the end.
    this.endIsDue = true
    afterThisTurn(() => {
      this.endIsDue = false
      if (!this.disposed) this.call('engineEnd', truncated)
    })
  }

  /** The program wants plaintext. */
  resume () {
    if (this.wanted) return
    this.wanted = true
    if (!this.transport) return
    this.resource.runInAsyncScope(this.proceed, this)
    if (!this.disposed && this.wanted && this.rest === null) this.transport.resume()
  }

  /** The program wants no more for now. */
  pause () {
    this.wanted = false
  }

  /**
   * Writes all chunks; `done` is called when the transport has taken their ciphertext.
   * @param {Buffer[]} chunks
   */
  write (chunks, done) {
    this.pendingWrite = { chunks, index: 0, start: 0, done }
    this.continueWrite()
  }

  continueWrite () {
    const write = this.pendingWrite
    if (write === null || this.disposed || this.working || !this.isOpen || this.sending) return
    try {
      while (this.sendSome(write));
    } catch (error) {
      this.pendingWrite = null
      write.done(error.native ? fromNative(error.native) : error)
    }
  }

  /** Encrypts and sends what the connection takes at once; whether there is more to be sent right away. */
  sendSome (write) {
    const { transport } = this
    const target = transport.buffer()
    const length = write.chunks.length === 1 ? this.encrypt(write, target) : this.encryptMany(write, target)
    if (write.index === write.chunks.length) {
      this.pendingWrite = null
      transport.send(target, length, write.done)
      return false
    }
    // Nothing could be taken: a renegotiation has to be over first.
    if (length === 0) {
      transport.send(target, 0)
      return false
    }
    this.sending = true
    let isNow = true
    transport.send(target, length, () => {
      this.sending = false
      if (isNow || this.disposed) return
      this.socket.engineTraffic()
      this.continueWrite()
    })
    isNow = false
    return !this.sending && !this.disposed
  }

  /** The length of the ciphertext of a single chunk, or of as much of it as goes. */
  encrypt (write, target) {
    const result = this.connection.send(write.chunks[0], write.start, target)
    const fed = Math.floor(result / TAKEN)
    write.start += fed
    if (write.start === write.chunks[0].length) write.index = 1
    return result - fed * TAKEN
  }

  encryptMany (write, target) {
    while (write.index < write.chunks.length) {
      const chunk = write.chunks[write.index]
      const fed = this.connection.write(chunk, write.start, chunk.length)
      write.start += fed
      if (write.start < chunk.length && fed === 0) break
      if (write.start === chunk.length) {
        write.index++
        write.start = 0
      }
    }
    return this.connection.transmitInto(target)
  }

  /** Sends all that there is; `closes`: and says goodbye first. */
  transmit (done, closes = false) {
    const { transport } = this
    if (!transport || this.working) {
      if (done) process.nextTick(done)
      return
    }
    for (;;) {
      const target = transport.buffer()
      const length = closes ? this.connection.sendCloseNotify(target) : this.connection.transmitInto(target)
      closes = false
      const isLast = length < target.length
      transport.send(target, length, isLast ? done : undefined)
      if (isLast) return
    }
  }

  /** Says goodbye, and ends this side of the transport. */
  end (done) {
    if (this.disposed) return process.nextTick(done)
    // The worker has it, or it is not the time yet.
    if (!this.isOpen || this.working) {
      this.ending = done
      return this.transport && this.proceed()
    }
    this.transmit((error) => {
      if (error || this.disposed) return done()
      this.transport.end(() => done())
    }, true)
  }

  /** In the middle of the handshake: what this side has said so far goes out, and then no more. */
  endEarly () {
    const done = this.ending
    this.ending = null
    if (this.isOpen) return this.end(done)
    this.transmit(() => this.transport.end(() => done()))
  }

  // ---- time ----

  setTimer (flags) {
    const left = flags & ENDLESS ? -1 : this.connection.deadline()
    if (left < 0) {
      clearTimeout(this.timer)
      this.timer = null
    } else if (this.timer === null) {
      // It is the transport that keeps a process alive.
      this.timer = setTimeout(() => this.expired(), Math.min(Math.ceil(left), 0x7fffffff)).unref()
    }
  }

  expired () {
    this.timer = null
    if (this.disposed) return
    this.connection.timeout()
    this.setTimer(DEADLINE)
    this.proceed()
  }

  /** Lets everything go. */
  dispose () {
    if (this.disposed) return
    this.disposed = true
    clearTimeout(this.timer)
    const write = this.pendingWrite
    this.pendingWrite = null
    this.rest = null
    return write
  }
}

module.exports = { Engine }
