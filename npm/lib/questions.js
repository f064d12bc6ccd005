'use strict'

// The decisions of programs: which ones a connection asks for, and how the answers find back.
//
// Each decision may be taken at once, by a callback, or by a promise. It counts once; what fails in it fails the
// connection, and never the process.

const { peerCertificateObject } = require('./certificates')
const { wantsKeyLog } = require('./defaults')
const { codes, fromNative } = require('./errors')
const { isContext, secureContextOf } = require('./secure-context')
const { kConnectOptions } = require('./symbols')
const { validateBuffer, validateObject, validateString } = require('./validators')

/** Questions that a server's events answer, and the options that stand for them. */
const BY_EVENT = [['resumeSession', 'resumeSession'], ['newSession', 'newSession'], ['ocspRequest', 'OCSPRequest']]

/** The most that OpenSSL takes of a pre-shared key and of its identity, in bytes. */
const MAX_PSK = 512
const MAX_PSK_IDENTITY = 256

// ---- which ----

/**
 * The names of the questions that the program of this socket wants to answer.
 * @param {any} socket
 * @returns {string[]}
 */
function wanted (socket) {
  const options = socket._tlsOptions
  const names = options.isServer ? wantedByServer(socket, options) : wantedByClient(socket)
  if (typeof options.sign === 'function') names.push('sign')
  if (typeof options.pskCallback === 'function') names.push('psk')
  return names
}

function wantedByClient (socket) {
  return socket[kConnectOptions]?.checkServerIdentity ? ['verifyPeer'] : []
}

function wantedByServer (socket, options) {
  const { server } = options
  const names = []
  if (typeof options.onClientHello === 'function') names.push('clientHello')
  if (socket._SNICallback || server?._contexts?.length > 0) names.push('selectContext')
  if (options.ALPNCallback) names.push('selectAlpn')
  for (const [name, event] of BY_EVENT) {
    if (typeof options[event] === 'function' || server?.listenerCount?.(event) > 0) names.push(name)
  }
  return names
}

// ---- how ----

/** A decision that is to be taken: what is done with its result, once. */
class Decision {
  /**
   * @param {any} engine
   * @param {(value: any) => void} apply gives the result to the connection
   */
  constructor (engine, apply) {
    this.engine = engine
    this.apply = apply
    this.settled = false
    this.callback = (error, value) => {
      if (this.settled) this.failLate(codes.ERR_MULTIPLE_CALLBACK())
      else if (error) this.fail(error)
      else this.succeed(value)
    }
  }

  succeed (value) {
    if (this.settled) return
    this.settled = true
    if (this.engine.disposed) return
    try {
      this.apply(value)
    } catch (error) {
      return this.refuse(error)
    }
    this.engine.answered()
  }

  fail (error) {
    if (this.settled) return this.failLate(error)
    this.settled = true
    if (!this.engine.disposed) this.refuse(error)
  }

  refuse (error) {
    const reason = error?.native ? fromNative(error.native) : error ?? new Error('a decision failed without a reason')
    try {
      this.engine.failWith(reason)
    } catch {
      // The connection does not wait any more; all that is left is to close it.
      this.engine.socket.destroy(reason)
    }
  }

  /** Something went wrong after the decision had been taken. Where nobody listens for errors the connection closes all the same. */
  failLate (error) {
    const { socket } = this.engine
    if (!socket.destroyed) socket.destroy(socket.listenerCount('error') > 0 ? error : undefined)
  }

  /**
   * Calls a function that answers through its last argument or by a promise. Where it takes a callback, a promise of
   * nothing is no answer.
   */
  ask (self, decider, args) {
    const takesCallback = (decider.listener ?? decider).length > args.length
    this.call(() => decider.call(self, ...args, this.callback), (value) => {
      if (value !== undefined || !takesCallback) this.succeed(value)
    })
  }

  /** As `ask`, but where the function does not take a callback, what it returns is the answer, promised or not. */
  askOption (self, decider, args) {
    if (decider.length > args.length) this.ask(self, decider, args)
    else this.askForResult(() => decider.apply(self, args))
  }

  /** Calls a function that answers by what it returns, or by a promise of that. */
  askForResult (call) {
    const result = this.call(call, (value) => this.succeed(value))
    if (!this.settled && !isPromise(result)) this.succeed(result)
  }

  call (call, fulfilled) {
    try {
      const result = call()
      if (isPromise(result)) result.then(fulfilled, (error) => this.fail(error))
      return result
    } catch (error) {
      this.fail(error)
    }
  }
}

const isPromise = (value) => typeof value?.then === 'function'

/** Asks the option of that name, or the listeners of the server's event. */
function askServer (engine, event, args, decision) {
  const { server, [event]: own } = engine.socket._tlsOptions
  if (typeof own === 'function') return decision.askOption(engine.socket, own, args)
  // Not by `emit`, which would not tell what becomes of the promises of asynchronous listeners.
  const listeners = server.rawListeners(event)
  if (listeners.length === 0) decision.succeed(null)
  for (const listener of listeners) decision.ask(server, listener, args)
}

/** What the addon takes: the same bytes as a Buffer. */
function bytes (value, name) {
  if (typeof value === 'string') return Buffer.from(value, 'latin1')
  if (value instanceof ArrayBuffer) return Buffer.from(value)
  if (!ArrayBuffer.isView(value)) throw codes.ERR_INVALID_ARG_TYPE(name, ['Buffer', 'TypedArray', 'DataView'], value)
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
}

/** Answers with bytes where there are some. */
function bytesOrNothing (engine, name) {
  return (value) => {
    if (value) engine.connection.answerWithBytes(bytes(value, name))
    else engine.connection.decline()
  }
}

/** Answers with a session where the program has one; whatever else it gives is none, as in Node.js. */
function sessionOrNothing (engine) {
  const answer = bytesOrNothing(engine, 'sessionData')
  return (value) => answer(typeof value === 'string' || ArrayBuffer.isView(value) || value instanceof ArrayBuffer ? value : null)
}

// ---- what ----

/** The context that `addContext` has given for a name; later ones win. */
function contextFor (server, servername) {
  return server?._contexts.findLast(([pattern]) => pattern.test(servername))?.[1]
}

/** The key of what a server's pskCallback has returned. */
function serverKey (result) {
  if (typeof result !== 'object') throw codes.ERR_INVALID_ARG_TYPE('ret', ['Object', 'Buffer', 'TypedArray', 'DataView'], result)
  const key = ArrayBuffer.isView(result) ? result : result.psk
  return { key: keyBytes(key), identity: null }
}

/** The key and identity of what a client's pskCallback has returned. */
function clientKey (result) {
  validateObject(result, 'ret')
  const key = keyBytes(result.psk)
  validateString(result.identity, 'identity')
  if (Buffer.byteLength(result.identity) > MAX_PSK_IDENTITY) {
    throw codes.ERR_INVALID_ARG_VALUE('identity', result.identity, `PSK identity exceeds ${MAX_PSK_IDENTITY} bytes`)
  }
  return { key, identity: result.identity }
}

/** Bytes only: text would more often be hexadecimal than a key. The key itself does not show in the error. */
function keyBytes (value) {
  validateBuffer(value, 'psk')
  const key = bytes(value, 'psk')
  if (key.length > MAX_PSK) throw codes.ERR_INVALID_ARG_VALUE('psk', key.length, `Pre-shared key exceeds ${MAX_PSK} bytes`)
  return key
}

const handlers = {
  clientHello (engine, { hello }, socket) {
    const decision = new Decision(engine, (value) => {
      if (value === false) engine.connection.answerWithWord('refuse')
      else engine.connection.decline()
    })
    decision.askOption(socket, socket._tlsOptions.onClientHello, [hello])
  },

  selectContext (engine, { servername }, socket) {
    // Who hears that the decision has failed wants to know for which name.
    socket.servername = servername
    const decision = new Decision(engine, (context) => {
      if (!context) return engine.connection.decline()
      if (!isContext(context)) throw new TypeError('Invalid SNI context')
      engine.connection.answerWithContext(secureContextOf(context, wantsKeyLog(socket)))
    })
    // A function of any arguments (a test's stand-in for one) may yet call back.
    if (socket._SNICallback?.length === 1) decision.askOption(socket, socket._SNICallback, [servername])
    else if (socket._SNICallback) decision.ask(socket, socket._SNICallback, [servername])
    else decision.succeed(contextFor(socket._tlsOptions.server, servername))
  },

  selectAlpn (engine, { protocols, servername }, socket) {
    const names = protocols.map((protocol) => protocol.toString('latin1'))
    const decision = new Decision(engine, (chosen) => {
      if (chosen === undefined) return engine.connection.answerWithWord('refuse')
      const index = names.indexOf(chosen)
      if (index < 0) throw codes.ERR_TLS_ALPN_CALLBACK_INVALID_RESULT(chosen, names)
      engine.connection.answerWithBytes(protocols[index])
    })
    decision.askForResult(() => socket._tlsOptions.ALPNCallback.call(socket, { servername: servername || false, protocols: [...names] }))
  },

  resumeSession (engine, { sessionId }) {
    askServer(engine, 'resumeSession', [sessionId], new Decision(engine, sessionOrNothing(engine)))
  },

  newSession (engine, { sessionId, session }, socket) {
    socket._newSessionPending = true
    const decision = new Decision(engine, () => {
      socket._newSessionPending = false
      engine.connection.decline()
    })
    // The callback takes no arguments: a store that could not keep the session gives its error in vain, as in Node.js.
    const { callback } = decision
    decision.callback = () => callback(null)
    askServer(engine, 'newSession', [sessionId, session], decision)
  },

  ocspRequest (engine, { certificate, issuer }) {
    askServer(engine, 'OCSPRequest', [certificate, issuer], new Decision(engine, bytesOrNothing(engine, 'response')))
  },

  sign (engine, { certificate, scheme, hash, message }, socket) {
    const decision = new Decision(engine, bytesOrNothing(engine, 'signature'))
    decision.askOption(socket, socket._tlsOptions.sign, [{ certificate, scheme, hash, message }])
  },

  psk (engine, { identity, hint }, socket) {
    const { pskCallback, isServer } = socket._tlsOptions
    const decision = new Decision(engine, (value) => {
      if (value == null) return engine.connection.decline()
      const answer = isServer ? serverKey(value) : clientKey(value)
      engine.connection.answerWithPsk(answer.key, answer.identity)
    })
    decision.askForResult(() => isServer ? pskCallback.call(socket, socket, identity) : pskCallback.call(socket, hint))
  },

  verifyPeer (engine, { certificates, objection }, socket) {
    if (objection !== null || certificates.length === 0) {
      socket._objection = objection && fromNative(objection)
      return engine.connection.decline()
    }
    const options = socket[kConnectOptions]
    const host = options.servername || options.host || (options.socket && options.socket._host) || 'localhost'
    const decision = new Decision(engine, (refusal) => {
      socket._objection = refusal || null
      if (refusal && options.rejectUnauthorized) throw refusal
      engine.connection.decline()
    })
    decision.askForResult(() => {
      const chain = engine.connection.peerCertificateChain()
      return options.checkServerIdentity(host, peerCertificateObject(chain.length > 0 ? chain : certificates, true))
    })
  }
}

/**
 * Has the program decide.
 * @param {any} engine
 * @param {any} event
 */
function answer (engine, event) {
  const handler = handlers[event.type]
  if (!handler) {
    engine.connection.decline()
    return
  }
  try {
    handler(engine, event, engine.socket)
  } catch (error) {
    engine.socket.destroy(error)
  }
}

module.exports = { answer, wanted }
