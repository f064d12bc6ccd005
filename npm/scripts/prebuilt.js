// Makes the packages that are published, as napi-rs lays them out: one for each platform whose addon is in lib/generated,
// with nothing but that, and `nodetls` itself, which has them as optional dependencies.
//
//   node scripts/prebuilt.js DIRECTORY, then `npm publish` for each directory in it, `nodetls` last
'use strict'

const fs = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '..')
const own = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))

const ARCHITECTURES = { x86_64: 'x64', aarch64: 'arm64' }
const SYSTEMS = { linux: 'linux', darwin: 'darwin', windows: 'win32' }
const LIBRARIES = { gnu: 'glibc', musl: 'musl' }

/** What npm, and the addon's loader, call a target of Rust's. */
function platformOf (target) {
  const [architecture, , system, abi] = target.split('-')
  const cpu = ARCHITECTURES[architecture]
  const os = SYSTEMS[system]
  return { name: [os, cpu, abi].filter(Boolean).join('-'), os, cpu, libc: os === 'linux' ? LIBRARIES[abi] : undefined }
}

function write (directory, manifest, files) {
  fs.mkdirSync(directory, { recursive: true })
  fs.writeFileSync(path.join(directory, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  for (const [to, from] of files) fs.cpSync(from, path.join(directory, to), { recursive: true, filter: (name) => !name.endsWith('.node') || to.endsWith('.node') })
}

const licences = own.files.filter((name) => name.startsWith('LICENSE')).map((name) => [name, path.join(root, name)])

/** The package of one platform; nothing where there is no addon for it. */
function writePlatform (directory, { name, os, cpu, libc }) {
  const file = `nodetls.${name}.node`
  const addon = path.join(root, 'lib', 'generated', file)
  if (!fs.existsSync(addon)) return
  const { version, license, repository, engines } = own
  const manifest = {
    name: `nodetls-${name}`,
    version,
    description: `The addon of nodetls for ${name}`,
    license,
    repository,
    engines,
    os: [os],
    cpu: [cpu],
    libc: libc && [libc],
    main: file,
    files: [file, 'LICENSE-*']
  }
  write(path.join(directory, manifest.name), manifest, [[file, addon], ...licences])
}

function writeOwn (directory, platforms) {
  const optionalDependencies = Object.fromEntries(platforms.map(({ name }) => [`nodetls-${name}`, own.version]))
  const manifest = { ...own, scripts: undefined, devDependencies: undefined, optionalDependencies }
  write(path.join(directory, own.name), manifest, own.files.map((name) => [name, path.join(root, name)]))
}

const [directory] = process.argv.slice(2)
if (!directory) {
  console.error('node scripts/prebuilt.js DIRECTORY')
  process.exit(1)
}
const platforms = own.napi.targets.map(platformOf)
for (const platform of platforms) writePlatform(directory, platform)
writeOwn(directory, platforms)
