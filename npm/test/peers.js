'use strict'

// Servers and clients for tests: ours, Node.js's own, and OpenSSL's program.

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const builtin = require('node:tls')

const nodetls = require('../lib')
const { ca, certificate } = require('./fixtures')

/**
 * A server that listens, and closes with everything that it has when the test is over.
 * @param {any} t the test
 * @param {any} server
 */
async function listening (t, server) {
  const sockets = new Set()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server.address().port
}

/** Options of a server for `localhost`. */
const identity = (more = {}) => ({ ...pick(certificate()), ...more })

const pick = ({ cert, key }) => ({ cert, key })

/** Options of a client that trusts the tests' authority. */
const trusting = (port, more = {}) => ({ port, host: '127.0.0.1', servername: 'localhost', ca: ca().cert, ...more })

/** A client of Node.js's own tls, once it is secure. */
async function connected (t, options, tls = builtin) {
  const socket = tls.connect(options)
  t.after(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

/** How a client's connection ends: its error, or null for none. */
function outcome (t, options, tls = builtin) {
  const socket = tls.connect(options)
  t.after(() => socket.destroy())
  return new Promise((resolve) => {
    socket.once('error', resolve)
    socket.once('close', () => resolve(null))
  })
}

/** All that a stream gives, as text. */
async function text (stream) {
  let all = ''
  stream.setEncoding('utf8')
  for await (const chunk of stream) all += chunk
  return all
}

/** Runs a program with this input; its output as text, both kinds. */
function run (t, program, words, input) {
  const child = spawn(program, words)
  t.after(() => child.kill())
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { output += chunk })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })))
}

/** OpenSSL's client; it ends with its input, or with the connection. */
function sClient (t, port, ...words) {
  return run(t, 'openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', ca().certFile, ...words], 'Q\n')
}

module.exports = { builtin, connected, identity, listening, nodetls, outcome, pick, run, sClient, text, trusting }
