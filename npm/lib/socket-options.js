'use strict'

// What is wrong with the options of a socket is told by its constructor, as Node.js's does.

const { settings } = require('./defaults')
const { codes, plain } = require('./errors')
const { isContext } = require('./secure-context')
const { validateBoolean, validateFunction } = require('./validators')

/** A session is bytes; text that `setSession` takes has been made bytes. */
function checkSession (session) {
  if (!ArrayBuffer.isView(session)) throw plain(new TypeError('Session must be a buffer'), 'ERR_INVALID_ARG_TYPE', checkSession)
}

function checkCallbacks (options) {
  for (const name of ['SNICallback', 'ALPNCallback']) {
    if (options[name]) validateFunction(options[name], `options.${name}`)
  }
}

/**
 * Checks a socket's options in Node.js's order, and makes their context where they hold none.
 * @param {any} options
 */
function checkSocketOptions (options) {
  const { ALPNProtocols, enableTrace, pskCallback, secureContext, session } = options
  if (enableTrace != null) validateBoolean(enableTrace, 'options.enableTrace')
  if (ALPNProtocols && !Array.isArray(ALPNProtocols) && !ArrayBuffer.isView(ALPNProtocols)) throw new TypeError('Must give a Buffer as first argument')
  if (!secureContext) options.secureContext = settings.createSecureContext(options)
  else if (!isContext(secureContext)) throw codes.ERR_TLS_INVALID_CONTEXT('context')
  if (session) checkSession(session)
  if (options.isServer) checkCallbacks(options)
  if (pskCallback) validateFunction(pskCallback, 'pskCallback')
}

module.exports = { checkSession, checkSocketOptions }
