'use strict'

// What Node.js's http and http2 know of a server over TLS is closed up in their own classes. A server of theirs that
// never listens has it all: its fields and its listeners make ours one of them, so that ours is the server that
// connections, requests and sessions know.

const http = require('node:http')
const net = require('node:net')

const OF_NET = new Set(Reflect.ownKeys(new net.Server()))

/** Gives a server the fields that another one has beyond those of a net.Server. Before its own constructors are called. */
function borrowFields (server, donor) {
  for (const name of Reflect.ownKeys(donor)) {
    if (!OF_NET.has(name)) server[name] = donor[name]
  }
}

/** The listener that the donor's own class has set. */
function listenerOf (donor, event) {
  return donor.listeners(event)[0]
}

/** Gives a class methods of `http.Server`. */
function borrowHttpMethods (prototype, names) {
  for (const name of names) {
    const value = http.Server.prototype[name]
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true })
  }
}

module.exports = { borrowFields, borrowHttpMethods, listenerOf }
