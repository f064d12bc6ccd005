'use strict'

// What the command line and the environment say about TLS, as Node.js would read them.

/**
 * The words of NODE_OPTIONS: separated by spaces, which quotes keep together.
 * @param {string} text
 */
function splitNodeOptions (text) {
  const words = []
  for (const [word] of text.matchAll(/(?:"(?:\\.|[^"\\])*"?|[^\s"])+/g)) {
    words.push(word.replace(/"((?:\\.|[^"\\])*)"?/g, (_, inner) => inner.replace(/\\(.)/g, '$1')))
  }
  return words
}

/** Node.js takes underscores for dashes within the names of options. */
function normalized (word) {
  const end = word.indexOf('=')
  const name = end < 0 ? word : word.slice(0, end)
  return name.startsWith('--') ? `--${name.slice(2).replaceAll('_', '-')}${end < 0 ? '' : word.slice(end)}` : word
}

/**
 * @param {{ execArgv?: string[], env?: NodeJS.ProcessEnv }} [source]
 */
function readFlags ({ execArgv = process.execArgv, env = process.env } = {}) {
  const words = [...splitNodeOptions(env.NODE_OPTIONS ?? ''), ...(execArgv ?? [])].map(normalized)
  // The command line comes last, so it wins.
  const value = (name) => {
    const at = words.findLastIndex((word) => word === name || word.startsWith(`${name}=`))
    if (at < 0) return undefined
    return words[at] === name ? words[at + 1] : words[at].slice(name.length + 1)
  }
  const has = (name) => words.lastIndexOf(name) > words.lastIndexOf(`--no-${name.slice(2)}`)
  return { has, value }
}

const LOWEST = [['--tls-min-v1.0', 'TLSv1'], ['--tls-min-v1.1', 'TLSv1.1'], ['--tls-min-v1.2', 'TLSv1.2'], ['--tls-min-v1.3', 'TLSv1.3']]
// The highest wins.
const HIGHEST = [['--tls-max-v1.3', 'TLSv1.3'], ['--tls-max-v1.2', 'TLSv1.2']]

function firstOf (flags, choices, otherwise) {
  return choices.find(([name]) => flags.has(name))?.[1] ?? otherwise
}

/**
 * @param {Parameters<typeof readFlags>[0]} [source]
 */
function settingsFrom (source) {
  const flags = readFlags(source)
  const env = source?.env ?? process.env
  return {
    minVersion: firstOf(flags, LOWEST, 'TLSv1.2'),
    maxVersion: firstOf(flags, HIGHEST, 'TLSv1.3'),
    cipherList: flags.value('--tls-cipher-list'),
    keylogFile: flags.value('--tls-keylog'),
    systemAuthorities: flags.has('--use-system-ca') || env.NODE_USE_SYSTEM_CA === '1',
    opensslAuthorities: flags.has('--use-openssl-ca'),
    extraAuthorities: env.NODE_EXTRA_CA_CERTS || undefined
  }
}

module.exports = { settingsFrom, splitNodeOptions }
