'use strict'

// The decisions of programs: which ones a connection asks for, and how the answers find back.
//
// Each decision may be taken at once, by a callback, or by a promise. It counts once; what fails in it fails the
// connection, and never the process.

const { codes, fromNative } = require('./errors')
const { peerCertificateObject } = require('./certificates')
const { secureContextOf } = require('./secure-context')
const { kConnectOptions } = require('./symbols')

/** Events of a server that are decisions, and the options that stand for them. */
const BY_EVENT = { resumeSession: 'resumeSession', newSession: 'newSession', ocspRequest: 'OCSPRequest' }

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
  for (const [name, event] of Object.entries(BY_EVENT)) {
    if (typeof options[event] === 'function' || server?.listenerCount?.(event) > 0) names.push(name)
  }
  return names
}

/**
 * Has the program decide.
 * @param {any} engine
 * @param {any} event
 */
function answer (engine, event) {
  const handler = handlers[event.type]
  if (handler) handler(engine, event, engine.socket)
  else engine.connection.decline()
}

/**
 * Calls a function that answers by its last argument, by a promise, or at once; `apply` gives the value to the connection.
 */
function decide (engine, ask, apply) {
  let settled = false
  const settle = (error, value) => {
    if (settled) return engine.socket.destroy(codes.ERR_MULTIPLE_CALLBACK())
    settled = true
    if (engine.disposed) return
    if (error) return engine.failWith(error)
    try {
      apply(value)
    } catch (failure) {
      return engine.failWith(failure.native ? fromNative(failure.native) : failure)
    }
    engine.answered()
  }
  try {
    const result = ask(settle)
    if (typeof result?.then === 'function') {
      result.then((value) => settle(null, value), (error) => settle(error ?? new Error('a decision was rejected without a reason')))
    }
  } catch (error) {
    if (!settled) settle(error)
    else engine.socket.destroy(error)
  }
}

/** Asks the option of that name, or the listeners of the server's event. */
function askServer (engine, event, args, apply) {
  const { socket } = engine
  const own = socket._tlsOptions[event]
  decide(engine, (settle) => {
    if (typeof own === 'function') return own.call(socket, ...args, settle)
    if (!socket.server.emit(event, ...args, settle)) settle(null, null)
  }, apply)
}

const bytes = (value) => typeof value === 'string' ? Buffer.from(value, 'latin1') : Buffer.from(value.buffer ?? value, value.byteOffset, value.byteLength)

const handlers = {
  clientHello (engine, { hello }, socket) {
    decide(engine, (settle) => {
      const result = socket._tlsOptions.onClientHello.call(socket, hello, settle)
      if (result === true || result === false) settle(null, result)
      return result
    }, (value) => {
      if (value === false) engine.connection.answerWithWord('refuse')
      else engine.connection.decline()
    })
  },

  selectContext (engine, { servername }, socket) {
    decide(engine, (settle) => {
      if (socket._SNICallback) return socket._SNICallback.call(socket, servername, settle)
      settle(null, socket.server._contextFor(servername))
    }, (context) => {
      if (context == null) return engine.connection.decline()
      engine.connection.answerWithContext(secureContextOf(context))
    })
  },

  selectAlpn (engine, { protocols, servername }, socket) {
    const names = protocols.map((protocol) => protocol.toString('latin1'))
    decide(engine, (settle) => {
      const result = socket._tlsOptions.ALPNCallback.call(socket, { servername, protocols: names })
      if (typeof result?.then === 'function') return result
      settle(null, result)
    }, (chosen) => {
      if (chosen === undefined) return engine.connection.answerWithWord('refuse')
      const index = names.indexOf(chosen)
      if (index < 0) throw codes.ERR_TLS_ALPN_CALLBACK_INVALID_RESULT(chosen, names)
      engine.connection.answerWithBytes(protocols[index])
    })
  },

  resumeSession (engine, { sessionId }) {
    askServer(engine, 'resumeSession', [sessionId], (session) => {
      if (session) engine.connection.answerWithBytes(bytes(session))
      else engine.connection.decline()
    })
  },

  newSession (engine, { sessionId, session }, socket) {
    socket._newSessionPending = true
    askServer(engine, 'newSession', [sessionId, session], () => {
      socket._newSessionPending = false
      engine.connection.decline()
    })
  },

  ocspRequest (engine, { certificate, issuer }) {
    askServer(engine, 'OCSPRequest', [certificate, issuer], (response) => {
      if (response) engine.connection.answerWithBytes(bytes(response))
      else engine.connection.decline()
    })
  },

  sign (engine, { certificate, scheme, hash, message }, socket) {
    decide(engine, (settle) => socket._tlsOptions.sign.call(socket, { certificate, scheme, hash, message }, settle), (signature) => {
      if (signature) engine.connection.answerWithBytes(bytes(signature))
      else engine.connection.decline()
    })
  },

  psk (engine, { identity, hint }, socket) {
    const { pskCallback, isServer } = socket._tlsOptions
    decide(engine, (settle) => {
      const result = isServer ? pskCallback.call(socket, socket, identity) : pskCallback.call(socket, hint)
      if (typeof result?.then === 'function') return result
      settle(null, result)
    }, (value) => {
      if (value == null) return engine.connection.decline()
      const [key, name] = isServer ? [value, null] : [value.psk, value.identity]
      if (!ArrayBuffer.isView(key)) throw codes.ERR_INVALID_ARG_TYPE(isServer ? 'ret' : 'ret.psk', ['Buffer', 'TypedArray', 'DataView'], key)
      if (!isServer && typeof name !== 'string') throw codes.ERR_INVALID_ARG_TYPE('ret.identity', 'string', name)
      engine.connection.answerWithPsk(bytes(key), name)
    })
  },

  verifyPeer (engine, { certificates, objection }, socket) {
    const options = socket[kConnectOptions]
    if (objection !== null || certificates.length === 0) {
      socket._objection = objection && fromNative(objection)
      return engine.connection.decline()
    }
    const host = options.servername || options.host || (options.socket && options.socket._host) || 'localhost'
    decide(engine, (settle) => {
      const chain = engine.connection.peerCertificateChain()
      const result = options.checkServerIdentity(host, peerCertificateObject(chain.length > 0 ? chain : certificates, true))
      if (typeof result?.then === 'function') return result
      settle(null, result)
    }, (refusal) => {
      socket._objection = refusal ?? null
      if (refusal && options.rejectUnauthorized) throw refusal
      engine.connection.decline()
    })
  }
}

module.exports = { answer, wanted }
