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

test('names that could be taken for others look as in node:tls', () => {
  const lists = [
    ['otherName.1=1.3.6.1.4.1.311.20.2.3;UTF8:a@b.test', 'otherName.2=1.3.6.1.4.1.311.20.2.3;UTF8:a, DNS:evil.test'],
    ['otherName.1=1.3.6.1.5.5.7.8.5;UTF8:x', 'otherName.2=1.3.6.1.5.5.7.8.7;IA5:_y', 'otherName.3=1.3.6.1.5.5.7.8.8;UTF8:z'],
    ['otherName.1=1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:\u00fc@b.test', 'otherName.2=1.2.3;UTF8:x', 'otherName.3=1.3.6.1.4.1.311.20.2.3;IA5:x'],
    ['dirName.1=plain', '[plain]', 'C=UK', 'CN=a'],
    ['dirName.1=odd', '[odd]', '0.OU=a, DNS:evil.test', '1.OU= b', '2.OU=c+d', '1.2.3.4=unknown']
  ]
  for (const [...names] of lists) {
    const { cert } = certificate({ san: '', extensions: ['subjectAltName=@names', '[names]', 'DNS.1=a.test', ...names] })
    assertSame(new X509Certificate(cert))
  }
})

test('places that could be taken for others stand as they are', () => {
  const places = ['OCSP;URI.1=http://a/, b', 'OCSP;URI.2=http://\\"a\\"', 'OCSP;otherName=1.3.6.1.4.1.311.20.2.3;UTF8:a, b', '1.2.3.4;DNS=a:b - c']
  const { cert } = certificate({ extensions: ['subjectAltName=DNS:a.test', 'authorityInfoAccess=@places', '[places]', ...places], san: '' })
  assertSame(new X509Certificate(cert))
  assert.deepEqual(certificateObject(new X509Certificate(cert).raw).infoAccess['OCSP - URI'], ['http://a/, b', 'http://"a"'])
})

/** A certificate, one byte of which is another after these bytes. */
function changed (after, byte) {
  const der = Buffer.from(new X509Certificate(certificate({ subject: '/C=UK/CN=localhost' }).cert).raw)
  der[der.lastIndexOf(Buffer.from(after)) + after.length] = byte
  return der
}

test('a time that does not exist has OpenSSL\'s words', () => {
  const der = changed([0x17, 13], 0x78)
  assert.equal(certificateObject(der).valid_to, 'Bad time value')
  assertSame(new X509Certificate(der))
})

test('a name that is no text is none', () => {
  const der = changed([0x55, 4, 3], 0x30)
  assert.deepEqual(Object.keys(certificateObject(der).subject), [])
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
