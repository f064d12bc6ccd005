'use strict'

// Certificate objects as `getPeerCertificate()` gives them.

const { X509Certificate } = require('node:crypto')

const native = require('./generated')

/** Keys and values as an object without a prototype (CVE-2022-21824); a key that comes again has a list. */
function nameObject (flat) {
  const object = Object.create(null)
  for (let index = 0; index < flat.length; index += 2) {
    const [key, value] = [flat[index], flat[index + 1]]
    if (object[key] === undefined) object[key] = value
    else if (Array.isArray(object[key])) object[key].push(value)
    else object[key] = [object[key], value]
  }
  return object
}

/** Places by method: `'OCSP - URI': ['http://…']`. */
function infoAccess (flat) {
  const object = Object.create(null)
  for (let index = 0; index < flat.length; index += 2) {
    const [, kind, place] = /^([^:]*):([\s\S]*)$/.exec(flat[index + 1]) ?? ['', '', flat[index + 1]]
    const key = `${flat[index]} - ${kind}`
    object[key] ??= []
    // Alone in its place, it needs no quotation marks.
    object[key].push(place.startsWith('"') ? JSON.parse(place) : place)
  }
  return object
}

/** Node.js's object of a certificate, or null where its OpenSSL cannot read it. */
function readable (der) {
  try {
    return new X509Certificate(der)
  } catch {
    return null
  }
}

/** The object without what the certificate does not have. */
function present (object) {
  for (const name of Object.keys(object)) if (object[name] == null) delete object[name]
  return object
}

/**
 * One certificate, its properties in Node.js's order.
 * @param {Buffer} der
 */
function certificateObject (der) {
  const fields = native.certificateFields(der)
  return present({
    subject: nameObject(fields.subject),
    issuer: nameObject(fields.issuer),
    subjectaltname: fields.subjectaltname,
    infoAccess: fields.infoAccess && infoAccess(fields.infoAccess),
    ca: readable(der)?.ca ?? false,
    modulus: fields.modulus,
    bits: fields.bits,
    exponent: fields.exponent,
    pubkey: fields.pubkey,
    asn1Curve: fields.asn1Curve,
    nistCurve: fields.nistCurve,
    valid_from: fields.validFrom,
    valid_to: fields.validTo,
    fingerprint: fields.fingerprint,
    fingerprint256: fields.fingerprint256,
    fingerprint512: fields.fingerprint512,
    ext_key_usage: fields.extKeyUsage,
    serialNumber: fields.serialNumber,
    raw: der
  })
}

/**
 * The peer's certificate; with its issuers where `detailed`, a root being its own.
 * @param {Buffer[]} chain its own first
 * @param {boolean} detailed
 */
function peerCertificateObject (chain, detailed) {
  const objects = (detailed ? chain : chain.slice(0, 1)).map(certificateObject)
  objects.forEach((object, index) => {
    if (!detailed) return
    if (index + 1 < objects.length) object.issuerCertificate = objects[index + 1]
    else if (isSelfIssued(chain[index])) object.issuerCertificate = object
  })
  return objects[0]
}

function isSelfIssued (der) {
  const certificate = readable(der)
  return certificate?.checkIssued(certificate) ?? false
}

/**
 * The first of the certificates, with the others as its `issuerCertificate`, one after the other, as far as Node.js can read
 * them.
 * @param {Buffer[]} chain
 * @returns {X509Certificate | undefined}
 */
function x509WithIssuers ([own, ...issuers]) {
  if (own === undefined) return undefined
  const first = new X509Certificate(own)
  let last = first
  for (const der of issuers) {
    const value = readable(der)
    if (value === null) break
    Object.defineProperty(last, 'issuerCertificate', { value, configurable: true })
    last = value
  }
  return first
}

module.exports = { certificateObject, peerCertificateObject, x509WithIssuers }
