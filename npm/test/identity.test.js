'use strict'

const assert = require('node:assert/strict')
const { test } = require('node:test')
const builtin = require('node:tls')
const { checkServerIdentity } = require('..')

/** Later versions judge some addresses and dots of other scripts otherwise. */
const skip = process.version.startsWith('v20.') ? false : 'the judgements are those of Node.js 20'

const HOSTS = ['a.com', 'b.a.com', 'c.b.a.com', 'A.COM', 'a.com.', '', '.a.com', '*.a.com', 'foo.a.com', 'xn--9bk.a.com', '1.2.3.4',
  '::1', '0:0::1', 'fe80::1%eth0', '2001:DB8::1', '::ffff:1.2.3.4', '::1.2.3.4', 'localhost', 'com',
  'a..com', 'foo bar.com', 'a\0.com', 'a.com\0.evil.com', 'xn--*.a.com', undefined, null, 5, {}, '[::1]', '1.2.3.4.',
  '127.1', 'www.x.co', '..', '.']

const ALT_NAMES = [undefined, '', 'DNS:a.com', 'DNS:*.a.com', 'DNS:*.com', 'DNS:*', 'DNS:f*.a.com', 'DNS:*o.a.com', 'DNS:f*o.a.com',
  'DNS:f**.a.com', 'DNS:xn--*.a.com', 'DNS:*xn--.a.com', 'DNS:a.*.com', 'DNS:*.*.com', 'IP Address:1.2.3.4',
  'IP Address:0:0:0:0:0:0:0:1', 'IP Address:2001:DB8:0:0:0:0:0:1', 'IP Address:foo', 'IP Address:1.2.3.4, DNS:a.com',
  'DNS:x.com, DNS:a.com', 'DNS:"a.com"', 'DNS:"a.com, DNS:b.a.com"', 'DNS:"a\\u002ecom"', 'DNS:"unterminated', 'DNS:"a", b',
  'DNS:"bad\\x"', 'URI:http://a.com', 'URI:http://a.com, DNS:z.com', 'email:a@a.com', 'DNS:A.COM', 'DNS:a.com.', 'DNS:.a.com',
  'DNS:ä.com', 'DNS:\u212a.com', 'DNS:a\0.com', 'dns:a.com', 'DNS:', 'DNS: a.com', 'DNS:a.com,DNS:b.com',
  'DNS:foo"bar"baz, DNS:a.com', 'DNS:"\\"", DNS:a.com', '"DNS:a.com"', 'IP Address:fe80:0:0:0:0:0:0:1',
  'IP Address:::ffff:1.2.3.4', 'IP Address:0:0:0:0:0:FFFF:102:304', 'DNS:*.x.co', 'DNS:www*.x.co', 'DNS:"a\tb"', 'DNS:""', 'DNS:"\x7f\x85.com"', 'DNS:"\x1f"',
  'DNS:1.2.3.4', 'DNS:*.2.3.4', 5, {}]

const SUBJECTS = [undefined, null, {}, { CN: 'a.com' }, { CN: '*.a.com' }, { CN: ['x.com', 'a.com'] }, { CN: ['x.com'] }, { CN: '' },
  { CN: '1.2.3.4' }, { CN: 'f*.a.com' }]

function outcome (check, host, cert) {
  try {
    const error = check(host, cert)
    return error && [error.constructor.name, String(error), error.reason, error.host, error.cert === cert, Object.keys(error)]
  } catch (error) {
    return [error.constructor.name, error.code]
  }
}

test('names are judged as by node:tls, whatever the certificate says', { skip }, () => {
  for (const host of HOSTS) {
    for (const subjectaltname of ALT_NAMES) {
      for (const subject of SUBJECTS) {
        const cert = { subject, subjectaltname }
        assert.deepEqual(outcome(checkServerIdentity, host, cert), outcome(builtin.checkServerIdentity, host, cert), JSON.stringify([host, cert]))
      }
    }
  }
})

function isFor (host, subjectaltname, subject = {}) {
  return checkServerIdentity(host, { subject, subjectaltname }) === undefined
}

test('a host in another alphabet is the one that resolvers make of it (CVE-2026-48618)', () => {
  for (const [host, subjectaltname, expected] of [
    ['b\u00fccher.a.test', 'DNS:xn--bcher-kva.a.test', true],
    ['B\u00dcCHER.a.test\u3002', 'DNS:xn--bcher-kva.a.test', true],
    ['b\u00fccher.a.test', 'DNS:*.a.test', true],
    ['b\u00fccher.a.test', 'DNS:b*.a.test', false],
    ['b\u00fccher.a.test', 'DNS:b\u00fccher.a.test', false],
    ['a\u3002b.c.test', 'DNS:*.c.test', false],
    ['x\u3002c.test', 'DNS:*.c.test', true],
    ['\u212a.test', 'DNS:k.test', true],
    ['\uff11\uff12\uff17.0.0.1', 'IP Address:127.0.0.1', true],
    ['\uff11\uff12\uff17.0.0.1', 'DNS:127.0.0.1', false],
    ['\u00fc/x', 'DNS:xn--tda', false],
    ['\u00fc%2ec.test', 'DNS:*.c.test', false],
    ['\u00fc b.test', 'DNS:*.test', false]
  ]) assert.equal(isFor(host, subjectaltname), expected, JSON.stringify([host, subjectaltname]))
  const { host, reason } = checkServerIdentity('\u00fc.test.', { subject: {}, subjectaltname: 'DNS:x' })
  assert.equal(host, '\u00fc.test')
  assert.equal(reason, "Host: \u00fc.test. is not in the cert's altnames: DNS:x")
})

test('a URI is no name of a host', () => {
  assert.equal(isFor('a.test', 'URI:https://a.test'), false)
})

test('a quoted name cannot smuggle another one in', () => {
  assert.equal(isFor('evil.test', 'DNS:"a.test, DNS:evil.test"'), false)
  assert.equal(isFor('a.test', 'DNS:"a.test, DNS:evil.test"'), false)
})

test('a wildcard stands for one label, the first, and not for a top-level domain', () => {
  assert.equal(isFor('b.a.test', 'DNS:*.a.test'), true)
  assert.equal(isFor('c.b.a.test', 'DNS:*.a.test'), false)
  assert.equal(isFor('a.test', 'DNS:*.test'), false)
  assert.equal(isFor('b.a.test', 'DNS:b.*.test'), false)
})

test('a dot of another script divides a name like any other', () => {
  assert.equal(isFor('a\u3002b.test', 'DNS:*.test'), false)
  assert.equal(isFor('b\u3002a.test', 'DNS:*.a.test'), true)
})

test('a name with NUL matches neither way', () => {
  assert.equal(isFor('a.test', 'DNS:a.test\0.evil.test'), false)
  assert.equal(isFor('a.test\0.evil.test', 'DNS:a.test'), false)
})

test('a list that cannot be taken apart is an error of its format', () => {
  assert.throws(() => isFor('a.test', 'DNS:"a.test'), { name: 'SyntaxError', code: 'ERR_TLS_CERT_ALTNAME_FORMAT' })
})
