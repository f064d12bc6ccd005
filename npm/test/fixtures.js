'use strict'

// Certificates for tests, made by OpenSSL's program when they are needed, once a process.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

/** @typedef {{ cert: Buffer, key: Buffer, certFile: string, keyFile: string }} Identity */

// Threads and processes of a test, which may be killed, have theirs within the test's own.
const directory = fs.mkdtempSync(path.join(process.env.NODETLS_TEST_DIRECTORY ?? os.tmpdir(), 'nodetls-test-'))
process.env.NODETLS_TEST_DIRECTORY ??= directory
process.once('exit', () => fs.rmSync(directory, { recursive: true, force: true }))

let count = 0

function openssl (...words) {
  return execFileSync('openssl', words, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
}

function file (name, contents) {
  const place = path.join(directory, name)
  if (contents !== undefined) fs.writeFileSync(place, contents)
  return place
}

function keyOptions (kind) {
  return kind === 'rsa' ? ['-newkey', 'rsa:2048'] : ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
}

function read (name) {
  const [certFile, keyFile] = [file(`${name}.pem`), file(`${name}.key`)]
  return { cert: fs.readFileSync(certFile), key: fs.readFileSync(keyFile), certFile, keyFile }
}

/** Remembers what a function makes of the same options. */
function once (make) {
  const made = new Map()
  return (options = {}) => {
    const name = JSON.stringify(options, (key, value) => Buffer.isBuffer(value) ? value.toString('base64') : value)
    if (!made.has(name)) made.set(name, make(options))
    return made.get(name)
  }
}

/**
 * A certificate authority.
 * @type {(options?: { cn?: string, key?: 'ec' | 'rsa' }) => Identity}
 */
const ca = once(({ cn = 'nodetls test CA', key = 'ec' }) => {
  const name = `ca${count++}`
  openssl('req', '-x509', ...keyOptions(key), '-nodes', '-keyout', `${name}.key`, '-out', `${name}.pem`,
    '-subj', `/CN=${cn}`, '-days', '30')
  return read(name)
})

/**
 * A certificate of an authority, `localhost`'s by default, or one that is its own issuer (`ca: null`).
 * @type {(options?: { cn?: string, subject?: string, san?: string, key?: 'ec' | 'rsa', ca?: Identity | null, client?: boolean, days?: number, extensions?: string[] }) => Identity}
 */
const certificate = once((options) => {
  const { cn = 'localhost', key = 'ec', client = false, days = 30, extensions = [] } = options
  const issuer = options.ca === undefined ? ca() : options.ca
  const san = options.san ?? (client ? undefined : `DNS:${cn}${cn === 'localhost' ? ',IP:127.0.0.1,IP:::1' : ''}`)
  const name = `leaf${count++}`
  const lines = [`extendedKeyUsage=${client ? 'clientAuth' : 'serverAuth'}`, ...extensions]
  if (san) lines.push(`subjectAltName=${san}`)
  openssl('req', ...keyOptions(key), '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', options.subject ?? `/CN=${cn}`)
  const ext = file(`${name}.ext`, lines.join('\n') + '\n')
  const signer = issuer ? ['-CA', file('issuer.pem', issuer.cert), '-CAkey', file('issuer.key', issuer.key), '-CAcreateserial'] : ['-key', `${name}.key`]
  const validity = days < 0 ? ['-not_before', '20200101000000Z', '-not_after', '20200102000000Z'] : ['-days', String(days)]
  sign(name, ext, signer, validity, days)
  return read(name)
})

/** Signs; where OpenSSL is too old to be told both dates, an expired certificate is made by its clock going wrong. */
function sign (name, ext, signer, validity, days) {
  const words = ['x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, '-extfile', ext, ...signer]
  if (days >= 0) return openssl(...words, ...validity)
  try {
    openssl(...words, ...validity)
  } catch {
    openssl(...words, '-days', String(days))
  }
}

/**
 * A PKCS#12 file.
 * @type {(identity: Identity, passphrase: string, chain?: Identity) => Buffer}
 */
function pfx (identity, passphrase, chain) {
  const more = chain ? ['-certfile', chain.certFile] : []
  return openssl('pkcs12', '-export', '-inkey', identity.keyFile, '-in', identity.certFile, ...more, '-passout', `pass:${passphrase}`)
}

/**
 * The key, encrypted.
 * @type {(identity: Identity, passphrase: string) => Buffer}
 */
function encryptedKey (identity, passphrase) {
  return openssl('pkcs8', '-topk8', '-in', identity.keyFile, '-v2', 'aes-256-cbc', '-passout', `pass:${passphrase}`)
}

/**
 * An OCSP response in DER, signed by the authority, that the certificate is good.
 * @type {(identity: Identity, authority?: Identity) => Buffer}
 */
function ocspResponse (identity, authority = ca()) {
  const serial = openssl('x509', '-in', identity.certFile, '-noout', '-serial').toString().trim().slice('serial='.length)
  const index = file(`index${count++}.txt`, `V\t491231235959Z\t\t${serial}\tunknown\t/CN=x\n`)
  const [request, response] = [file('ocsp.req'), file('ocsp.der')]
  openssl('ocsp', '-issuer', authority.certFile, '-cert', identity.certFile, '-reqout', request)
  openssl('ocsp', '-index', index, '-rsigner', authority.certFile, '-rkey', authority.keyFile, '-CA', authority.certFile,
    '-reqin', request, '-respout', response, '-ndays', '1')
  return fs.readFileSync(response)
}

module.exports = { ca, certificate, directory, encryptedKey, file, ocspResponse, openssl, pfx }
