'use strict'

// What Node.js has deprecated and old programs still use: createSecurePair, and the texts of certificates.

const EventEmitter = require('node:events')
const { parse, unescape } = require('node:querystring')
const { Duplex } = require('node:stream')
const { deprecate } = require('node:util')
const { createSecureContext } = require('./secure-context')
const { TLSSocket } = require('./tls-socket')

/** One end of a pair: what goes in at one end comes out at the other. */
class PairEnd extends Duplex {
  /** @type {PairEnd | null} */
  other = null
  #waiting = null

  _read () {
    const done = this.#waiting
    this.#waiting = null
    done?.()
  }

  _write (chunk, encoding, done) {
    const { other } = this
    if (other === null || other.destroyed) return done()
    if (chunk.length === 0) return process.nextTick(done)
    // The other end's reader says when it has taken it.
    other.#waiting = done
    other.push(chunk)
  }

  _final (done) {
    if (this.other !== null && !this.other.destroyed) this.other.push(null)
    done()
  }

  _destroy (error, done) {
    const waiting = this.#waiting
    this.#waiting = null
    waiting?.()
    done(error)
  }
}

/** The manual's name for the two streams of a pair. */
const CryptoStream = Duplex

function connectedEnds () {
  const [one, two] = [new PairEnd(), new PairEnd()]
  one.other = two
  two.other = one
  return [one, two]
}

/**
 * Emits 'secure' once the handshake is done; `cleartext` and `encrypted` are streams.
 */
class SecurePair extends EventEmitter {
  constructor (secureContext = createSecureContext(), isServer = false, requestCert = !isServer, rejectUnauthorized = false, options = {}) {
    super()
    const [inner, outer] = connectedEnds()
    this.server = options.server
    this.credentials = secureContext
    this.encrypted = outer
    this.cleartext = new TLSSocket(inner, {
      ...options, secureContext, isServer: Boolean(isServer), requestCert: Boolean(requestCert), rejectUnauthorized: Boolean(rejectUnauthorized)
    })
    this.cleartext.once('secure', () => this.emit('secure'))
    this.cleartext.on('_tlsError', (error) => this.#tell(error))
  }

  /** A program that does not listen has lost a handshake, not its life. */
  #tell (error) {
    if (this.listenerCount('error') > 0) this.emit('error', error)
  }

  destroy () {
    this.cleartext.destroy()
    this.encrypted.destroy()
  }
}

/**
 * A connection over two streams of which the program moves the ciphertext itself.
 * @deprecated `new tls.TLSSocket(duplex, options)` does it
 */
const createSecurePair = deprecate(
  (...words) => new SecurePair(...words),
  'tls.createSecurePair() is deprecated. Please use tls.TLSSocket instead.', 'DEP0064')

/** `CN=x\nO=y` as an object without a prototype; what comes again has a list. */
const parseCertString = deprecate(
  (text) => parseLines(text),
  'tls.parseCertString() is deprecated. Please use querystring.parse() instead.', 'DEP0076')

function parseLines (text) {
  return parse(text, '\n', '=', { maxKeys: 0, decodeURIComponent: unescape })
}

module.exports = { CryptoStream, SecurePair, createSecurePair, parseCertString }
