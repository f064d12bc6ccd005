'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const builtin = require('node:tls')
const nodetls = require('..')

test('every export of node:tls is there, of the same kind', () => {
  for (const name of Object.keys(builtin)) assert.equal(typeof nodetls[name], typeof builtin[name], name)
})

test('the plain exports have the same values and may be assigned', () => {
  for (const name of ['CLIENT_RENEG_LIMIT', 'CLIENT_RENEG_WINDOW', 'DEFAULT_CIPHERS', 'DEFAULT_ECDH_CURVE', 'DEFAULT_MIN_VERSION', 'DEFAULT_MAX_VERSION']) {
    assert.equal(nodetls[name], builtin[name])
    assert.deepEqual(Object.getOwnPropertyDescriptor(nodetls, name), Object.getOwnPropertyDescriptor(builtin, name))
  }
})

test('H01 the cipher suites are those of node:tls, in a fresh list each time', () => {
  assert.deepEqual(nodetls.getCiphers(), builtin.getCiphers())
  nodetls.getCiphers().length = 0
  assert.equal(nodetls.getCiphers().length, builtin.getCiphers().length)
})

test('the list of trusted authorities is the same one each time, and none is in it twice', () => {
  const all = nodetls.getCACertificates()
  assert.equal(nodetls.getCACertificates('default'), all)
  assert.equal(new Set(all).size, all.length)
  assert.equal(nodetls.getCACertificates('bundled'), nodetls.rootCertificates)
  for (const pem of nodetls.rootCertificates) assert.ok(pem.endsWith('-----END CERTIFICATE-----'))
})

test('H02 the roots are frozen and always the same', () => {
  assert.equal(nodetls.rootCertificates, nodetls.rootCertificates)
  assert.ok(Object.isFrozen(nodetls.rootCertificates))
  assert.ok(nodetls.rootCertificates.length > 100)
  assert.throws(() => { nodetls.rootCertificates = [] }, TypeError)
})

test('`import` finds the same exports by name', async () => {
  for (const [name, theirs] of [['index', builtin], ['https', require('node:https')], ['http2', require('node:http2')]]) {
    const ours = require(`../lib/${name}`)
    const module = await import(`../lib/${name}.js`)
    assert.equal(module.default, ours)
    for (const key of Object.keys({ ...ours, ...theirs })) assert.equal(module[key], ours[key], key)
    for (const key of Object.keys(module)) assert.ok(['default', 'module.exports'].includes(key) || key in ours || !(key in theirs), key)
  }
})

test('contexts can be made without new, as functions of old can', () => {
  assert.ok(nodetls.SecureContext() instanceof nodetls.SecureContext)
  assert.ok(nodetls.createSecureContext() instanceof nodetls.SecureContext)
  assert.equal(JSON.stringify(nodetls.createSecureContext()), '{"context":{}}')
})
