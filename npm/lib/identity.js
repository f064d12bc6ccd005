'use strict'

// Whether a certificate is for a host: `tls.checkServerIdentity`, on certificate objects that programs may have made
// themselves. Connections check by the core, on the certificate itself.

const { isIP } = require('node:net')
const { domainToASCII } = require('node:url')
const { codes } = require('./errors')

/** How Node.js prints names that hold characters with a meaning in the list. */
const QUOTED = /^"(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:[bfnrt"\\/]|u[0-9a-fA-F]{4}))*"/u

/**
 * The names of a list in which some are quoted.
 * @param {string} altNames
 */
function splitQuoted (altNames) {
  const names = []
  let current = ''
  for (let rest = altNames; rest !== '';) {
    const [at, mark] = next(rest)
    current += rest.slice(0, at)
    rest = rest.slice(at)
    if (mark === ', ') {
      names.push(current)
      current = ''
      rest = rest.slice(2)
    } else if (mark === '"') {
      const quoted = QUOTED.exec(rest)?.[0]
      if (quoted === undefined) throw codes.ERR_TLS_CERT_ALTNAME_FORMAT()
      current += JSON.parse(quoted)
      rest = rest.slice(quoted.length)
    }
  }
  names.push(current)
  return names
}

/** Where the next separator or quotation mark is, and which. */
function next (text) {
  const at = [text.indexOf(', '), text.indexOf('"')].map((index) => index < 0 ? text.length : index)
  if (at[0] === at[1]) return [text.length, '']
  return at[1] < at[0] ? [at[1], '"'] : [at[0], ', ']
}

/** @param {string} name */
const withoutFinalDot = (name) => name.endsWith('.') ? name.slice(0, -1) : name

/**
 * A host as resolvers see it, so that a full stop of another alphabet is one here too (CVE-2026-48618).
 * @param {string} host
 * @returns {string} empty where no certificate can be for it
 */
function normalized (host) {
  if (/^\p{ASCII}*$/u.test(host)) return host
  // These have a meaning in addresses of the web, and none in names.
  return /[%/?#:@\\]/.test(host) ? '' : withoutFinalDot(domainToASCII(host))
}

/** Letters of ASCII only: other alphabets' capitals are none of DNS's. */
const lowerCase = (text) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())

const labels = (name) => lowerCase(withoutFinalDot(name)).split('.')

/** Names that DNS can hold: printable ASCII. */
const isPlain = (label) => /^[\x21-\x7f]+$/.test(label)

/**
 * Whether a host matches a name of a certificate, the first label of which may hold one `*` (RFC 6125, 6.4.3).
 * @param {string[]} host
 * @param {string} pattern
 */
function matches (host, pattern) {
  if (!pattern) return false
  const wanted = labels(pattern)
  if (host.length !== wanted.length || !wanted.every(isPlain)) return false
  if (!wanted.slice(1).every((label, index) => label === host[index + 1])) return false
  const [first] = wanted
  // Part of an international name is no prefix or suffix of what people see.
  if (!first.includes('*') || first.includes('xn--')) return first === host[0]
  return wanted.length > 2 && matchesWildcard(host[0], first)
}

function matchesWildcard (label, pattern) {
  const parts = pattern.split('*')
  if (parts.length > 2) return false
  const [prefix, suffix] = parts
  return prefix.length + suffix.length <= label.length && label.startsWith(prefix) && label.endsWith(suffix)
}

/**
 * An address in the one form that equals itself, or undefined.
 * @param {string} text
 */
function canonicalAddress (text) {
  const family = isIP(text)
  if (family === 4) return text
  if (family !== 6) return undefined
  return canonicalIPv6(text)
}

/** As inet_ntop has it, without the zone, which no certificate can name. */
function canonicalIPv6 (text) {
  const short = new URL(`http://[${text.split('%')[0]}]`).hostname.slice(1, -1)
  const embedded = /^(::(?:ffff:)?)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short)
  return embedded === null ? short : embedded[1] + dotted(embedded[2], embedded[3])
}

/** The IPv4 address at the end of an IPv6 address. */
function dotted (high, low) {
  const bits = parseInt(high, 16) * 0x10000 + parseInt(low, 16)
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.')
}

/** The names of a list that count: host names and addresses. */
function namesOf (altNames) {
  const all = altNames.includes('"') ? splitQuoted(altNames) : altNames.split(', ')
  const starting = (prefix) => all.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length))
  return { hosts: starting('DNS:'), addresses: starting('IP Address:').map(canonicalAddress) }
}

function addressObjection (host, address, addresses) {
  if (addresses.includes(canonicalAddress(address))) return undefined
  return `IP: ${host} is not in the cert's list: ${addresses.join(', ')}`
}

function hostObjection (host, name, hosts, cert) {
  const hostLabels = labels(name)
  const matching = (pattern) => matches(hostLabels, pattern)
  if (hosts.length > 0) {
    return hosts.some(matching) ? undefined : `Host: ${host}. is not in the cert's altnames: ${cert.subjectaltname}`
  }
  // The common name counts where there is no name that could.
  const { CN } = cert.subject
  return [CN].flat().some(matching) ? undefined : `Host: ${host}. is not cert's CN: ${CN}`
}

function objection (host, cert) {
  const subject = cert.subject
  const { hosts, addresses } = cert.subjectaltname ? namesOf(cert.subjectaltname) : { hosts: [], addresses: [] }
  const name = normalized(host)
  if (isIP(name)) return addressObjection(host, name, addresses)
  if (hosts.length > 0 || subject?.CN) return hostObjection(host, name, hosts, cert)
  return 'Cert does not contain a DNS name'
}

/**
 * An error where the certificate is not for the host, else undefined.
 * @param {string} hostname
 * @param {any} cert as `getPeerCertificate()` gives it
 * @returns {Error | undefined}
 */
function checkServerIdentity (hostname, cert) {
  const host = withoutFinalDot(`${hostname}`)
  const reason = objection(host, cert)
  return reason === undefined ? undefined : codes.ERR_TLS_CERT_ALTNAME_INVALID(reason, host, cert)
}

module.exports = { checkServerIdentity }
