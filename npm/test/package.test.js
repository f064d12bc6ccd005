'use strict'

// The package as it is published and installed: what is in it, how it is entered, what it says where its addon is missing.

const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { platformName } = require('../lib/generated/platform')
const { directory } = require('./fixtures')
const { assert, limited } = require('./world')

const ROOT = path.join(__dirname, '..')
const LIMIT = 120000
const project = path.join(directory, 'project')
const addon = `nodetls-${platformName()}`
const npm = spawnSync('npm', ['--version'], { shell: process.platform === 'win32' }).status === 0

const run = (command, ...words) => execFileSync(command, words, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], shell: process.platform === 'win32' })
const node = (...words) => spawnSync(process.execPath, ['--no-warnings', ...words], { cwd: project, encoding: 'utf8' })

/** A new project with the packages in it, installed from what would be published; what is in each. */
function install () {
  fs.mkdirSync(project)
  fs.writeFileSync(path.join(project, 'package.json'), '{"private":true}')
  const packages = path.join(directory, 'packages')
  execFileSync(process.execPath, [path.join(ROOT, 'scripts', 'prebuilt.js'), packages])
  const packed = fs.readdirSync(packages).map((name) => JSON.parse(run('npm', 'pack', '--json', path.join(packages, name)))[0])
  run('npm', 'install', '--offline', '--no-audit', '--no-fund', ...packed.map(({ filename }) => `./${filename}`))
  return Object.fromEntries(packed.map(({ name, files, size }) => [name, { files: files.map((file) => file.path), size }]))
}

limited('platforms have the names that napi-rs gives them', () => {
  const names = [
    ['linux', 'x64', false, 'linux-x64-gnu'], ['linux', 'x64', true, 'linux-x64-musl'], ['linux', 'arm64', false, 'linux-arm64-gnu'],
    ['linux', 'arm64', true, 'linux-arm64-musl'], ['darwin', 'x64', false, 'darwin-x64'], ['darwin', 'arm64', false, 'darwin-arm64'],
    ['win32', 'x64', false, 'win32-x64-msvc'], ['win32', 'arm64', false, 'win32-arm64-msvc']
  ]
  for (const [platform, arch, isMusl, name] of names) assert.strictEqual(platformName({ platform, arch }, () => isMusl), name)
  if (process.platform === 'linux') assert.strictEqual(platformName().endsWith('gnu'), Boolean(process.report.getReport().header.glibcVersionRuntime))
})

limited('the packages hold what they need and nothing else, and are entered in every way', (t) => {
  if (!npm) return t.skip('npm is missing')
  const packed = install()
  assert.deepStrictEqual(Object.keys(packed).sort(), ['nodetls', addon].sort())
  assert.deepStrictEqual(packed[addon].files.sort(), ['LICENSE-APACHE', 'LICENSE-MIT', `${addon.replace('-', '.')}.node`, 'package.json'])
  const { files, size } = packed.nodetls
  for (const name of files) assert.match(name, /^(lib\/[\w/-]+\.m?js|types\/\w+\.d\.ts|LICENSE-(APACHE|MIT)|README\.md|package\.json)$/)
  assert.ok(size < 100000, `${size} bytes`)

  const manifest = JSON.parse(fs.readFileSync(path.join(project, 'node_modules', 'nodetls', 'package.json'), 'utf8'))
  assert.strictEqual(Object.keys(manifest.optionalDependencies).length, 8)
  assert.ok(manifest.optionalDependencies[addon])

  const entries = "['nodetls', 'nodetls/https', 'nodetls/http2', 'nodetls/package.json']"
  assert.strictEqual(node('-p', `${entries}.map((name) => typeof require(name).version).join()`).stdout.trim(), 'undefined,undefined,undefined,string')
  assert.strictEqual(node('-p', "require('nodetls').connect === require('nodetls/register') || require('tls').connect === require('nodetls').connect").stdout.trim(), 'true')
  const program = "import tls, { connect } from 'nodetls'; import { Agent } from 'nodetls/https'; import { createSecureServer } from 'nodetls/http2'; console.log(tls.connect === connect, typeof Agent, typeof createSecureServer)"
  assert.strictEqual(node('--input-type=module', '-e', program).stdout.trim(), 'true function function')
  for (const flag of ['--require', '--import']) {
    assert.strictEqual(node(flag, 'nodetls/register', '-p', "require('tls') === require('nodetls')").stdout.trim(), 'true')
  }
  typed()
  withoutAddon()
}, LIMIT)

/** Programs in TypeScript find the types, however modules are looked for. */
function typed () {
  const modules = path.join(ROOT, 'node_modules')
  fs.mkdirSync(path.join(project, 'node_modules', '@types'))
  for (const name of ['@types/node', 'undici-types']) fs.symlinkSync(path.join(modules, name), path.join(project, 'node_modules', name), 'junction')
  const write = (name, text) => fs.writeFileSync(path.join(project, name), text)
  write('a.ts', "import { connect } from 'nodetls'\nimport * as https from 'nodetls/https'\nimport 'nodetls/register'\nconnect({ port: 1 }).ready().then((socket) => socket.end())\nhttps.createServer({}).close()\n")
  write('b.cts', "import tls = require('nodetls')\nconst server: tls.Server = tls.createServer({}, (socket) => { socket.end() })\nserver.close()\n")
  write('c.mts', "import tls, { TLSSocket } from 'nodetls'\nimport http2 from 'nodetls/http2'\nvoid [tls.connect({ port: 1 }), TLSSocket, http2.connect('https://a.test')]\n")
  const tsc = (...words) => {
    const { status, stdout } = node(path.join(modules, 'typescript', 'bin', 'tsc'), '--noEmit', '--strict', '--target', 'es2022', '--types', 'node', ...words)
    assert.strictEqual(status, 0, stdout)
  }
  tsc('--module', 'node16', 'a.ts', 'b.cts', 'c.mts')
  tsc('--module', 'esnext', '--moduleResolution', 'bundler', '--skipLibCheck', 'a.ts', 'c.mts')
  tsc('--module', 'commonjs', '--moduleResolution', 'node10', '--skipLibCheck', 'a.ts')
}

/** Without the platform's package it is said what to do, and an addon that was built is found. */
function withoutAddon () {
  const own = path.join(project, 'node_modules', addon)
  const built = path.join(project, 'node_modules', 'nodetls', 'lib', 'generated', `${addon.replace('-', '.')}.node`)
  const file = path.join(own, path.basename(built))
  const report = () => node('-p', "try { require('nodetls').DEFAULT_MIN_VERSION } catch ({ code, message }) { `${code} ${message}` }").stdout.trim()
  fs.renameSync(file, built)
  fs.rmSync(own, { recursive: true })
  assert.strictEqual(report(), 'TLSv1.2')
  const manifest = path.join(project, 'node_modules', 'nodetls', 'package.json')
  const { version } = JSON.parse(fs.readFileSync(manifest, 'utf8'))
  fs.writeFileSync(manifest, JSON.stringify({ ...JSON.parse(fs.readFileSync(manifest, 'utf8')), version: '9.9.9' }))
  assert.strictEqual(report(), `ERR_NODETLS_ADDON_VERSION nodetls 9.9.9 cannot use the addon ${version} at ${built}: both have to be of one version`)
  fs.rmSync(built)
  assert.match(report(), new RegExp(`^MODULE_NOT_FOUND nodetls has no binary for ${platformName()}: the package ${addon} is not installed.*npm run build.*${path.basename(built)}$`))
}
