// Runs every test file with Node.js's own runner; names on the command line choose some of them.
'use strict'

const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const directory = path.join(__dirname, '..', 'test')
const wanted = process.argv.slice(2)
const files = fs.readdirSync(directory, { recursive: true })
  .map(String)
  .filter((name) => name.endsWith('.test.js') && !name.includes('node_modules'))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort()
  .map((name) => path.join(directory, name))

if (files.length === 0) {
  console.error(`no test file has ${wanted.join(' or ')} in its name`)
  process.exit(1)
}
// A failed test may leave a server behind; that must not hold up the others.
const { status } = spawnSync(process.execPath, ['--test', '--test-concurrency=2', '--test-force-exit', ...files], { stdio: 'inherit' })
process.exitCode = status ?? 1
