// Runs the tests with the other versions of Node.js that the package is for: their binaries come from npm.
'use strict'

const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const directory = path.join(__dirname, '..', 'versions')
execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: directory, stdio: 'inherit', shell: process.platform === 'win32' })

const own = process.versions.node.split('.')[0]
const found = ['20', '22', '24', '26']
  .filter((major) => major !== own)
  .map((major) => path.join(directory, 'node_modules', `node${major}`, 'bin'))
  .filter((bin) => fs.existsSync(bin))
if (found.length === 0) console.error('SKIPPED: the other versions of Node.js, which npm has no binaries of for this platform')

for (const bin of found) {
  const env = { ...process.env, PATH: bin + path.delimiter + process.env.PATH }
  const version = execFileSync(path.join(bin, 'node'), ['--version'], { encoding: 'utf8' }).trim()
  console.log(`\nwith Node.js ${version}`)
  const { status } = spawnSync(path.join(bin, 'node'), [path.join(__dirname, 'test.js'), ...process.argv.slice(2)], { env, stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
