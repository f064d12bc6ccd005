'use strict'

// nodetls/register: whoever asks for tls, https or http2 gets ours, however it is asked for.

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { directory, file } = require('./fixtures')
const { assert, limited } = require('./world')

const OURS = path.join(__dirname, '..')
const REGISTER = path.join(OURS, 'lib', 'register.js')
const FLAGS = ['--require', '--import']

/** What a program prints, a word a line, that is started with these flags. */
function run (flags, place) {
  const { stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', ...flags, place], { encoding: 'utf8', cwd: directory })
  assert.ok(stdout, stderr)
  return stdout.trim().split('\n')
}

const place = (name, contents) => fs.realpathSync(file(name, contents))

const PRELUDE = `const ours = require(${JSON.stringify(OURS)})\nconst is = (name, value) => { if (value !== true) console.log(name) }\n`

limited('every way of require leads to our modules', () => {
  const program = place('register-require.cjs', `${PRELUDE}
    const { createRequire } = require('node:module')
    const vm = require('node:vm')
    for (const name of ['tls', 'node:tls', '_tls_wrap', '_tls_common']) is(name, require(name) === ours)
    is('createRequire', createRequire(__filename)('tls') === ours)
    is('module', require.main.require('tls') === ours)
    is('vm', vm.runInNewContext('load("tls")', { load: require }) === ours)
    is('getBuiltinModule', !process.getBuiltinModule || process.getBuiltinModule('node:tls') === ours)
    is('resolve', require.resolve('tls') === 'tls' && require.resolve('node:https') === 'node:https')
    is('agents', require('https').globalAgent instanceof require('node:https').Agent && require('https').get === require('node:https').get)
    is('http2', require('http2').createSecureServer().constructor === require('node:http2').createSecureServer().constructor)
    is('changes', ((require('tls').added = 1), require('node:tls').added === 1))
    console.log('done')`)
  for (const flag of FLAGS) assert.deepStrictEqual(run([flag, REGISTER], program), ['done'])
  assert.deepStrictEqual(run(['--require', REGISTER, '--import', REGISTER], program), ['done'])
})

limited('every way of import leads to our modules', () => {
  const program = place('register-import.mjs', `
    import tls, { connect, TLSSocket } from 'node:tls'
    import * as all from 'tls'
    import https, { Agent } from 'https'
    import http2, { createSecureServer, constants } from 'node:http2'
    import http from 'node:http'
    import { createRequire } from 'node:module'
    const require = createRequire(import.meta.url)
    ${PRELUDE}
    is('default', tls === ours && all.default === ours)
    is('names', connect === ours.connect && TLSSocket === ours.TLSSocket && all.rootCertificates === ours.rootCertificates)
    is('https', Agent === https.Agent && new Agent() instanceof http.Agent && require('https') === https)
    is('http2', createSecureServer === http2.createSecureServer && require('http2') === http2 && typeof constants === 'object')
    is('dynamic', (await import('tls')).default === ours)
    is('require', require('tls') === ours)
    console.log('done')`)
  for (const flag of FLAGS) assert.deepStrictEqual(run([flag, REGISTER], program), ['done'])
})

limited('threads and processes that a program starts have our modules too', () => {
  const inner = place('register-inner.cjs', `${PRELUDE}
    const { parentPort } = require('node:worker_threads')
    const found = require('tls') === ours
    if (parentPort) parentPort.postMessage(found)
    else process.send(found)`)
  const program = place('register-outer.cjs', `${PRELUDE}
    const { fork } = require('node:child_process')
    const { Worker } = require('node:worker_threads')
    const place = ${JSON.stringify(inner)}
    fork(place).on('message', (found) => is('fork', found)).on('exit', () => {
      new Worker(place).on('message', (found) => is('thread', found)).on('exit', () => console.log('done'))
    })`)
  for (const flag of FLAGS) assert.deepStrictEqual(run([flag, REGISTER], program), ['done'])
})

limited('other loaders may come before and after, also ones that give the sources of CommonJS', () => {
  place('register-hooks.mjs', `
    import fs from 'node:fs'
    export async function load (url, context, next) {
      return url.endsWith('loaded.cjs') ? { format: 'commonjs', source: fs.readFileSync(new URL(url)), shortCircuit: true } : next(url, context)
    }`)
  const loader = place('register-loader.mjs', "import { register } from 'node:module'\nregister('./register-hooks.mjs', import.meta.url)")
  place('loaded.cjs', `${PRELUDE}is('tls', require('tls') === ours)\nis('node:https', require('node:https').Agent === require('https').Agent)`)
  const program = place('register-chain.mjs', "import './loaded.cjs'\nimport tls from 'tls'\nconsole.log(typeof tls.connect)")
  for (const flags of [['--import', REGISTER, '--import', loader], ['--import', loader, '--import', REGISTER], ['--require', REGISTER, '--import', loader]]) {
    assert.deepStrictEqual(run(flags, program), ['function'])
  }
})
