'use strict'

// What is wrong with the options of a socket is told by its constructor, as Node.js's does.

const { codes, plain } = require('./errors')
const { createSecureContext, isContext } = require('./secure-context')
const { validateBoolean, validateFunction } = require('./validators')

/** A session is bytes; text that `setSession` takes has been made bytes. */
function checkSession (session) {
  if (!ArrayBuffer.isView(session)) throw plain(new TypeError('Session must be a buffer'), 'ERR_INVALID_ARG_TYPE', checkSession)
}

/**
 * Checks a socket's options in Node.js's order, and makes their context where they hold none.
 * @param {any} options
 */
function checkSocketOptions (options) {
  const { enableTrace, pskCallback, secureContext, session } = options
  if (enableTrace != null) validateBoolean(enableTrace, 'options.enableTrace')
  if (!secureContext) options.secureContext = createSecureContext(options)
  else if (!isContext(secureContext)) throw codes.ERR_TLS_INVALID_CONTEXT('context')
  if (session) checkSession(session)
  if (pskCallback) validateFunction(pskCallback, 'pskCallback')
}

module.exports = { checkSession, checkSocketOptions }
