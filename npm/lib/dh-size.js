'use strict'

// How large the prime of Diffie-Hellman parameters is.

const BEGIN = /-----BEGIN (?:X9\.42 )?DH PARAMETERS-----([^-]*)-----END/

/** The length and the place of the contents of a DER element, or null. */
function element (der, at, tag) {
  if (der[at] !== tag) return null
  const first = der[at + 1]
  if (first < 0x80) return { start: at + 2, length: first }
  const count = first & 0x7f
  if (!(count >= 1 && count <= 4) || at + 2 + count > der.length) return null
  return { start: at + 2 + count, length: der.readUIntBE(at + 2, count) }
}

/**
 * Bits of the prime; undefined where the text holds none.
 * @param {Buffer} pem
 */
function primeBits (pem) {
  const body = BEGIN.exec(pem.toString('latin1'))?.[1]
  if (body === undefined) return undefined
  const der = Buffer.from(body, 'base64')
  const sequence = element(der, 0, 0x30)
  const prime = sequence && element(der, sequence.start, 0x02)
  if (!prime || prime.start + prime.length > der.length) return undefined
  const digits = der.subarray(prime.start, prime.start + prime.length)
  const first = digits.findIndex((byte) => byte !== 0)
  return first < 0 ? 0 : (digits.length - first) * 8 - (Math.clz32(digits[first]) - 24)
}

module.exports = { primeBits }
