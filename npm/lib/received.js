'use strict'

// How messages speak of a value that was not acceptable, as Node.js does it.

const { inspect } = require('node:util')

const LONGEST = 28

/** @param {unknown} value */
function received (value) {
  if (value == null) return `Received ${value}`
  if (typeof value === 'function') return `Received function ${value.name}`
  if (typeof value === 'object') return receivedObject(value)
  if (typeof value === 'string') return `Received type string (${quoted(value)})`
  let text = inspect(value, { colors: false })
  if (text.length > LONGEST) text = `${text.slice(0, LONGEST - 3)}...`
  return `Received type ${typeof value} (${text})`
}

function quoted (text) {
  const shown = text.length > LONGEST ? `${text.slice(0, LONGEST - 3)}...` : text
  return shown.includes("'") ? JSON.stringify(shown) : `'${shown}'`
}

function receivedObject (value) {
  const name = value.constructor?.name
  return `Received ${name ? `an instance of ${name}` : inspect(value, { depth: -1 })}`
}

/** Groups digits by underscores. */
function grouped (digits) {
  const [, sign, rest] = /^(-?)(.*)$/.exec(digits)
  return sign + rest.replace(/\B(?=(\d{3})+$)/g, '_')
}

/** A number that is out of range. */
function receivedNumber (value) {
  if (Number.isInteger(value) && Math.abs(value) > 2 ** 32) return grouped(String(value))
  if (typeof value === 'bigint') return `${value > 2n ** 32n || value < -(2n ** 32n) ? grouped(String(value)) : value}n`
  return inspect(value)
}

const PRIMITIVES = new Set(['string', 'function', 'number', 'object', 'boolean', 'bigint', 'symbol'])

/** `a`, `a or b`, `a, b, or c` */
function list (words, conjunction = 'or') {
  if (words.length < 3) return words.join(` ${conjunction} `)
  return `${words.slice(0, -1).join(', ')}, ${conjunction} ${words.at(-1)}`
}

function sort (expected) {
  const types = []
  const instances = []
  const others = []
  for (const word of expected) {
    if (PRIMITIVES.has(word)) types.push(word)
    else if (word === 'Function' || word === 'Object') types.push(word.toLowerCase())
    else if (/^([A-Z][a-z0-9]*)+$/.test(word)) instances.push(word)
    else others.push(word)
  }
  if (instances.length > 0 && types.includes('object')) {
    types.splice(types.indexOf('object'), 1)
    instances.push('Object')
  }
  return { types, instances, others }
}

/** `of type string or an instance of Buffer` */
function expectation (expected) {
  const { types, instances, others } = sort(expected)
  const parts = []
  if (types.length > 0) parts.push(`${types.length > 1 ? 'one of type' : 'of type'} ${list(types)}`)
  if (instances.length > 0) parts.push(`an instance of ${list(instances)}`)
  if (others.length > 1) parts.push(`one of ${list(others)}`)
  else if (others.length === 1) parts.push(others[0].toLowerCase() === others[0] ? others[0] : `an ${others[0]}`)
  return parts.join(' or ')
}

/** `The "options.key" property`, `The "options" argument` */
function subject (name) {
  if (name.endsWith(' argument')) return `The ${name}`
  return `The "${name}" ${name.includes('.') ? 'property' : 'argument'}`
}

module.exports = { expectation, list, received, receivedNumber, subject }
