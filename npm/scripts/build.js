// Builds the addon with cargo and puts it where lib/generated/index.js looks for it.
//
//   node scripts/build.js [--debug]
'use strict'

const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { platformName } = require('../lib/generated/platform')

const root = path.join(__dirname, '..', '..')
const debug = process.argv.includes('--debug') || process.env.NODETLS_DEBUG === '1'

const LIBRARY = { linux: 'libnodetls_napi.so', darwin: 'libnodetls_napi.dylib', win32: 'nodetls_napi.dll' }

function cargo (...words) {
  return execFileSync(process.env.CARGO ?? 'cargo', words, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8', maxBuffer: 1 << 30 })
}

cargo('build', '--locked', '-p', 'nodetls-napi', ...(debug ? [] : ['--release']))
const { target_directory: target } = JSON.parse(cargo('metadata', '--format-version=1', '--no-deps', '--locked'))
const built = path.join(target, debug ? 'debug' : 'release', LIBRARY[process.platform] ?? LIBRARY.linux)
const place = path.join(__dirname, '..', 'lib', 'generated', `nodetls.${platformName()}.node`)
// A new file rather than new contents: a process that has the old one loaded goes on with that.
const fresh = `${place}.${process.pid}`
fs.copyFileSync(built, fresh)
if (!debug) strip(fresh)
fs.renameSync(fresh, place)

/** Names that nobody asks for are an eighth of the file. Where there is no such program they stay. */
function strip (file) {
  const flag = { linux: '--strip-unneeded', darwin: '-x' }[process.platform]
  if (flag) spawnSync('strip', [flag, file])
}
