'use strict'

// What a socket's options are for the addon's connection.

const native = require('./generated')
const { convertALPNProtocols } = require('./alpn')
const { wantsKeyLog } = require('./defaults')
const { wanted } = require('./questions')
const { nativeContext } = require('./secure-context')
const { kConnectOptions } = require('./symbols')

/** The protocols of the wire form one by one, as the addon takes them. */
function protocols (given) {
  if (!given) return undefined
  const holder = {}
  convertALPNProtocols(given, holder)
  const wire = holder.ALPNProtocols
  const list = []
  for (let start = 0; start < wire.length; start += wire[start] + 1) {
    list.push(wire.subarray(start + 1, start + 1 + wire[start]))
  }
  return list
}

/** The name that a client checks; only host names are sent. */
function serverName (socket) {
  const options = socket[kConnectOptions] ?? {}
  return socket._servername ?? options.servername ?? socket._tlsOptions.servername ?? options.host ?? 'localhost'
}

function clientConnection (socket) {
  const options = socket._tlsOptions
  const connectOptions = socket[kConnectOptions] ?? options
  const name = serverName(socket)
  return native.NativeConnection.client(nativeContext(options, wantsKeyLog(socket)), {
    servername: name || 'localhost',
    // Node.js sends only what `servername` names.
    sendServername: Boolean(socket._servername ?? options.servername ?? connectOptions.servername),
    alpnProtocols: protocols(options.ALPNProtocols),
    session: socket._session ?? options.session ?? undefined,
    requestOCSP: Boolean(options.requestOCSP),
    // A TLSSocket that was made by hand judges nothing by itself (Node.js leaves that to `tls.connect`).
    rejectUnauthorized: socket[kConnectOptions] ? connectOptions.rejectUnauthorized !== false : options.rejectUnauthorized === true,
    skipNameCheck: !socket[kConnectOptions] || typeof connectOptions.checkServerIdentity === 'function',
    minDHSize: connectOptions.minDHSize,
    questions: wanted(socket)
  })
}

function serverConnection (socket) {
  const options = socket._tlsOptions
  const config = options.server?.nativeConfig?.(socket) ?? native.NativeServerConfig.create(serverOptions(options, wanted(socket)))
  return native.NativeConnection.server(nativeContext(options, wantsKeyLog(socket)), config)
}

/** Options of a server's connections for the addon. */
function serverOptions (options, questions) {
  return {
    alpnProtocols: protocols(options.ALPNProtocols),
    requestCert: Boolean(options.requestCert),
    rejectUnauthorized: options.rejectUnauthorized !== false,
    handshakeTimeout: options.handshakeTimeout,
    sessionIdContext: options.sessionIdContext === undefined ? undefined : Buffer.from(options.sessionIdContext),
    ticketKeys: options.ticketKeys,
    renegotiationLimit: options.renegotiationLimit,
    renegotiationWindow: options.renegotiationWindow,
    pskIdentityHint: options.pskIdentityHint,
    questions
  }
}

/** The addon's connection for a socket. */
function createConnection (socket) {
  return socket._tlsOptions.isServer ? serverConnection(socket) : clientConnection(socket)
}

module.exports = { createConnection, protocols, serverOptions }
