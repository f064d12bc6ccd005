// @ts-nocheck: functions that are classes, as Node.js's are; the checker takes `this` in them for something else
'use strict'

// `https` over this module: Node.js's own http, with our sockets below.

const http = require('node:http')
const { urlToHttpOptions } = require('node:url')
const { compileFunction } = require('node:vm')

const { borrowFields, borrowHttpMethods, listenerOf } = require('./borrow')
const { Agent } = require('./https-agent')
const { Server: TLSServer } = require('./tls')
const { validateObject } = require('./validators')

/**
 * @constructor
 * @this {any}
 * @param {any} [options]
 * @param {(request: any, response: any) => void} [listener]
 */
function Server (options, listener) {
  if (!(this instanceof Server)) return new Server(options, listener)
  if (typeof options === 'function') [options, listener] = [{}, options]
  else if (options == null) options = {}
  else validateObject(options, 'options')
  options = { ...options }
  // The manual of https: without any, a client that speaks HTTP/1.1 is served.
  if (!options.ALPNProtocols && !options.ALPNCallback) options.ALPNProtocols = ['http/1.1']
  options.noDelay ??= true
  const donor = http.createServer(options)
  borrowFields(this, donor)
  TLSServer.call(this, options, listenerOf(donor, 'connection'))
  this.httpAllowHalfOpen = false
  if (listener) this.on('request', listener)
  // As with http: a client's mistake closes its connection, and nobody has to listen.
  this.on('tlsClientError', (error, socket) => {
    if (!this.emit('clientError', error, socket)) socket.destroy(error)
  })
  this.on('listening', listenerOf(donor, 'listening'))
}
Object.setPrototypeOf(Server.prototype, TLSServer.prototype)
Object.setPrototypeOf(Server, TLSServer)
borrowHttpMethods(Server.prototype, ['closeAllConnections', 'closeIdleConnections', 'setTimeout', 'close', Symbol.asyncDispose])

function createServer (options, listener) {
  return new Server(options, listener)
}

// ---- clients ----

/** Node.js's own defaults for the agent that all requests share. */
const globalAgent = new Agent({ keepAlive: true, scheduling: 'lifo', timeout: 5000 })

/** Agents of other packages (agent-base) look for this name on the stack to know that a request is one over TLS. */
const begin = compileFunction('return new ClientRequest(options, ...words)', ['ClientRequest', 'options', 'words'], { filename: 'node:https' })

function request (...words) {
  const options = {}
  if (typeof words[0] === 'string') Object.assign(options, urlToHttpOptions(new URL(words.shift())))
  else if (words[0] instanceof URL) Object.assign(options, urlToHttpOptions(words.shift()))
  if (words[0] && typeof words[0] !== 'function') Object.assign(options, words.shift())
  options._defaultAgent = module.exports.globalAgent
  return begin(http.ClientRequest, options, words)
}

function get (...words) {
  const made = request(...words)
  made.end()
  return made
}

// The names that `import { … }` can take: Node.js looks for such assignments in the text.
exports.Agent = exports.Server = exports.createServer = exports.get = exports.globalAgent = exports.request = undefined

module.exports = { Agent, Server, createServer, get, globalAgent, request }
