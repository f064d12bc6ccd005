'use strict'

const assert = require('node:assert/strict')
const { X509Certificate } = require('node:crypto')
const fs = require('node:fs')
const { test } = require('node:test')
const builtin = require('node:tls')
const { certificateObject, peerCertificateObject } = require('../lib/certificates')
const { ca, certificate, file, openssl } = require('./fixtures')

/** Without what is undefined: later versions of Node.js name every field. */
const defined = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))

function assertSame (x509) {
  const expected = defined(x509.toLegacyObject())
  // As Node.js 20 writes it.
  if (expected.exponent) expected.exponent = expected.exponent.toLowerCase()
  const actual = defined(certificateObject(x509.raw))
  assert.deepStrictEqual(actual, expected)
  // Later versions have another order.
  if (Number.parseInt(process.versions.node) < 24) assert.deepEqual(Object.keys(actual), Object.keys(expected))
}

function selfSigned (name, ...options) {
  openssl('req', '-x509', '-newkey', ...options, '-nodes', '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`)
  return fs.readFileSync(file(`${name}.pem`))
}

test('all of Mozilla\'s roots look as in node:tls', () => {
  for (const pem of builtin.rootCertificates) assertSame(new X509Certificate(pem))
})

test('certificates with many names and places look as in node:tls', () => {
  const made = [
    certificate(),
    certificate({ key: 'rsa' }),
    certificate({ subject: '/CN=a/OU=x/OU=y/OU=z', extensions: ['authorityInfoAccess=OCSP;URI:http://o.test/,caIssuers;URI:http://c.test/,OCSP;URI:http://p.test/'] }),
    certificate({ san: 'DNS:a,URI:http://x,email:a@b.c,IP:1.2.3.4,IP:::1,RID:1.2.3.4' })
  ]
  for (const { cert } of made) assertSame(new X509Certificate(cert))
})

test('keys of other kinds look as in node:tls', () => {
  for (const kind of ['ed25519', 'ed448']) assertSame(new X509Certificate(selfSigned(kind, kind)))
  // Node.js from 24 on does not survive a curve without a NIST name.
  if (Number.parseInt(process.versions.node) >= 24) return
  assertSame(new X509Certificate(selfSigned('secp256k1', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1')))
})

test('a root is its own issuer, and the chain hangs together', () => {
  const chain = [certificate().cert, ca().cert].map((pem) => new X509Certificate(pem).raw)
  const leaf = peerCertificateObject(chain, true)
  const root = leaf.issuerCertificate
  assert.equal(root.subject.CN, 'nodetls test CA')
  assert.equal(root.issuerCertificate, root)
  assert.equal('issuerCertificate' in peerCertificateObject(chain, false), false)
})

test('names have no prototype that a certificate could reach', () => {
  const { subject, issuer } = certificateObject(new X509Certificate(certificate().cert).raw)
  assert.equal(Object.getPrototypeOf(subject), null)
  assert.equal(Object.getPrototypeOf(issuer), null)
})

test('what is no certificate is an error, not the end', () => {
  assert.throws(() => certificateObject(Buffer.from('no certificate')))
})
