'use strict'

// What the command line, the environment and assignments say has effect.

const assert = require('node:assert/strict')
const { execFileSync, spawnSync } = require('node:child_process')
const path = require('node:path')
const { afterEach, test } = require('node:test')
const builtin = require('node:tls')
const tls = require('..')
const { settingsFrom, splitNodeOptions } = require('../lib/cli')
const { ca, file, openssl } = require('./fixtures')

const MAIN = path.join(__dirname, '..')
const original = { ...tls }

afterEach(() => {
  for (const name of ['DEFAULT_MIN_VERSION', 'DEFAULT_MAX_VERSION', 'DEFAULT_CIPHERS', 'DEFAULT_ECDH_CURVE']) tls[name] = original[name]
})

/** The environment without what would change the defaults. */
const plain = { ...process.env }
for (const name of ['NODE_OPTIONS', 'NODE_EXTRA_CA_CERTS', 'NODE_USE_SYSTEM_CA', 'SSL_CERT_FILE', 'SSL_CERT_DIR']) delete plain[name]

/** What a program prints that has the module as `tls`. */
function printed (program, { flags = [], env = {}, module = MAIN } = {}) {
  const code = `const tls = require(${JSON.stringify(module)}); console.log(${program})`
  return execFileSync(process.execPath, [...flags, '-e', code], { env: { ...plain, ...env }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}

const FLAGS = [['--tls-min-v1.0'], ['--tls-min-v1.1'], ['--tls-min-v1.2'], ['--tls-min-v1.3'], ['--tls-max-v1.2'],
  ['--tls-max-v1.2', '--tls-max-v1.3'], ['--tls-min-v1.3', '--tls-min-v1.0'], ['--tls-cipher-list=ECDHE-RSA-AES128-GCM-SHA256'],
  ['--tls_min_v1.0']]
const DEFAULTS = "[tls.DEFAULT_MIN_VERSION, tls.DEFAULT_MAX_VERSION, tls.DEFAULT_CIPHERS].join(' ')"

test('flags mean what they mean to node:tls', () => {
  for (const flags of FLAGS) {
    assert.equal(printed(DEFAULTS, { flags }), printed(DEFAULTS, { flags, module: 'node:tls' }), flags.join(' '))
  }
})

test('NODE_OPTIONS means what it means to node:tls', () => {
  for (const NODE_OPTIONS of ['--tls-min-v1.3', '--tls-max-v1.2 --tls-min-v1.0', '--tls-cipher-list="ECDHE-RSA-AES128-GCM-SHA256:HIGH"']) {
    const env = { NODE_OPTIONS }
    assert.equal(printed(DEFAULTS, { env }), printed(DEFAULTS, { env, module: 'node:tls' }), NODE_OPTIONS)
  }
})

test('the words of NODE_OPTIONS are kept together by quotes', () => {
  assert.deepEqual(splitNodeOptions('--a "b c" --d="e \\"f\\" \\\\" '), ['--a', 'b c', '--d=e "f" \\'])
  assert.deepEqual(splitNodeOptions(''), [])
})

test('the last value of an option wins, and what is switched off is off', () => {
  const source = { execArgv: ['--tls-cipher-list', 'B', '--no-use-system-ca'], env: { NODE_OPTIONS: '--tls-cipher-list=A --use-system-ca --tls-keylog=k' } }
  const { cipherList, systemAuthorities, keylogFile } = settingsFrom(source)
  assert.deepEqual([cipherList, systemAuthorities, keylogFile], ['B', false, 'k'])
})

test('H03 H04 H05 assigned defaults have effect on contexts made afterwards', () => {
  tls.DEFAULT_MIN_VERSION = 'nonsense'
  assert.throws(() => tls.createSecureContext(), { code: 'ERR_TLS_INVALID_PROTOCOL_VERSION' })
  tls.DEFAULT_MIN_VERSION = 'TLSv1.2'
  tls.DEFAULT_MAX_VERSION = 'nonsense'
  assert.throws(() => tls.createSecureContext(), { code: 'ERR_TLS_INVALID_PROTOCOL_VERSION' })
  tls.DEFAULT_MAX_VERSION = original.DEFAULT_MAX_VERSION
  tls.DEFAULT_CIPHERS = 'nonsense'
  assert.throws(() => tls.createSecureContext(), { code: 'ERR_SSL_NO_CIPHER_MATCH' })
  tls.DEFAULT_CIPHERS = original.DEFAULT_CIPHERS
  tls.DEFAULT_ECDH_CURVE = 'nonsense'
  assert.throws(() => tls.createSecureContext(), { code: 'ERR_CRYPTO_OPERATION_FAILED' })
})

test('the certificates of NODE_EXTRA_CA_CERTS are trusted besides the others', () => {
  const env = { NODE_EXTRA_CA_CERTS: ca().certFile }
  const program = "[tls.getCACertificates('extra').length, tls.getCACertificates().length - tls.getCACertificates('bundled').length, Boolean(tls.createSecureContext().context.native)].join(' ')"
  assert.equal(printed(program, { env }), '1 1 true')
})

test('a file of extra certificates that cannot be read is warned of', () => {
  const run = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(MAIN)}).createSecureContext()`],
    { env: { ...plain, NODE_EXTRA_CA_CERTS: file('missing.pem') }, encoding: 'utf8' })
  assert.match(run.stderr, /Ignoring extra certs from `.*missing\.pem`, load failed: /)
  assert.equal(run.status, 0)
})

test('the system\'s certificates are trusted when that is asked for', () => {
  const [one, two] = [ca({ cn: 'one' }), ca({ cn: 'two' })]
  const bundle = file('system.pem', Buffer.concat([one.cert, Buffer.from('garbage\n'), two.cert]))
  const env = { SSL_CERT_FILE: bundle }
  const counts = "[tls.getCACertificates('system').length, tls.getCACertificates().length - tls.getCACertificates('bundled').length].join(' ')"
  assert.equal(printed(counts, { env }), '2 0')
  assert.equal(printed(counts, { env: { ...env, NODE_USE_SYSTEM_CA: '1' } }), '2 2')
  const openssl = "tls.getCACertificates().length + ' ' + Boolean(tls.createSecureContext().context.native)"
  assert.equal(printed(openssl, { env, flags: ['--use-openssl-ca'] }), '2 true')
})

test('the default authorities can be replaced, and arguments are checked', () => {
  const program = `(() => {
    tls.setDefaultCACertificates([${JSON.stringify(ca().cert.toString())}, ${JSON.stringify(ca().cert.toString())}])
    return [tls.getCACertificates().length, tls.getCACertificates('bundled').length > 100, Boolean(tls.createSecureContext().context.native)].join(' ')
  })()`
  assert.equal(printed(program), '1 true true')
  assert.throws(() => tls.setDefaultCACertificates('x'), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.throws(() => tls.setDefaultCACertificates([5]), { code: 'ERR_INVALID_ARG_TYPE' })
  assert.throws(() => tls.setDefaultCACertificates(['x']), { code: 'ERR_CRYPTO_OPERATION_FAILED' })
  assert.throws(() => tls.getCACertificates('x'), { code: 'ERR_INVALID_ARG_VALUE' })
  assert.throws(() => tls.getCACertificates(5), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('the default suites are those of node:tls', () => {
  assert.equal(tls.DEFAULT_CIPHERS, builtin.DEFAULT_CIPHERS)
  assert.ok(openssl('ciphers', tls.DEFAULT_CIPHERS).length > 0)
})
