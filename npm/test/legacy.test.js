'use strict'

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { test } = require('node:test')
const builtin = require('node:tls')
const tls = require('..')
const { ca, certificate } = require('./fixtures')

function pair () {
  const server = tls.createSecurePair(tls.createSecureContext(certificate()), true)
  const client = tls.createSecurePair(tls.createSecureContext({ ca: ca().cert }), false)
  server.encrypted.pipe(client.encrypted).pipe(server.encrypted)
  return { client, server }
}

test('the deprecated functions say so, as those of node:tls', async () => {
  const warned = new Promise((resolve) => process.once('warning', resolve))
  pair()
  const { name, code, message } = await warned
  assert.deepEqual([name, code, message],
    ['DeprecationWarning', 'DEP0064', 'tls.createSecurePair() is deprecated. Please use tls.TLSSocket instead.'])
})

test('H06 H07 H08 H09 H10 two pairs speak to each other once both are secure', async () => {
  const { client, server } = pair()
  assert.ok(client instanceof tls.SecurePair)
  for (const stream of [client.cleartext, client.encrypted]) assert.ok(stream instanceof tls.CryptoStream)
  await Promise.all([once(client, 'secure'), once(server, 'secure')])
  client.cleartext.write('question')
  const [question] = await once(server.cleartext, 'data')
  server.cleartext.write(`${question}, answered`)
  const [answer] = await once(client.cleartext, 'data')
  assert.equal(String(answer), 'question, answered')
  assert.equal(client.cleartext.bytesWritten, 'question'.length)
  server.destroy()
  client.destroy()
})

test('H11 the options of a pair are those of a connection', async () => {
  const seen = []
  const options = { ALPNProtocols: ['a'], SNICallback: (name, done) => { seen.push(name); done(null, null) } }
  const server = tls.createSecurePair(tls.createSecureContext(certificate()), true, false, false, options)
  const client = tls.createSecurePair(tls.createSecureContext({ ca: ca().cert }), false, true, true, { ALPNProtocols: ['b', 'a'], servername: 'localhost' })
  server.encrypted.pipe(client.encrypted).pipe(server.encrypted)
  await Promise.all([once(client, 'secure'), once(server, 'secure')])
  assert.deepEqual([client.cleartext.alpnProtocol, server.cleartext.servername, seen], ['a', 'localhost', ['localhost']])
})

test('much data comes through a pair whole', async () => {
  const { client, server } = pair()
  await Promise.all([once(client, 'secure'), once(server, 'secure')])
  const sent = Buffer.alloc(3 << 20, 'abc')
  client.cleartext.end(sent)
  const received = []
  for await (const chunk of server.cleartext) received.push(chunk)
  assert.ok(Buffer.concat(received).equals(sent))
})

test('a failed handshake is an error of the pair', async () => {
  const { encrypted, ...rest } = tls.createSecurePair(tls.createSecureContext(certificate()), true)
  assert.ok(rest.cleartext)
  const failing = tls.createSecurePair(tls.createSecureContext(certificate()), true)
  failing.encrypted.end('this is no TLS at all')
  const [error] = await once(failing, 'error')
  assert.match(error.code, /^ERR_SSL_/)
  encrypted.destroy()
})

test('old texts of subjects are taken apart as lists', () => {
  const parsed = tls.parseCertString('C=US\nO=a=b\nOU=x\nOU=y')
  assert.deepEqual({ ...parsed }, { C: 'US', O: 'a=b', OU: ['x', 'y'] })
  assert.equal(Object.getPrototypeOf(parsed), null)
})

test('the shape is that of node:tls', { skip: builtin.createSecurePair ? false : 'this Node.js has it no more' }, () => {
  const names = (module) => Object.keys(module.createSecurePair(module.createSecureContext(), true)).filter((name) => !name.startsWith('_'))
  for (const name of names(builtin)) assert.ok(names(tls).includes(name), name)
})
