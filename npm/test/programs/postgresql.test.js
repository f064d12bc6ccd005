'use strict'

const { spawnSync } = require('node:child_process')
const os = require('node:os')
const { assert, certificate, daemon, freePort, fs, limited, path, program } = require('./world')

/** The directory of the server's programs: Debian has one for each version. */
function directoryOfPrograms () {
  const root = '/usr/lib/postgresql'
  const versions = fs.existsSync(root) ? fs.readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  return versions.map((version) => path.join(root, version, 'bin')).find((directory) => fs.existsSync(path.join(directory, 'initdb')))
}

const programs = directoryOfPrograms()

/** The server does not run for root. */
function user () {
  if (process.getuid() !== 0) return {}
  const id = (flag) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout)
  return { uid: id('-u'), gid: id('-g') }
}

async function start (t) {
  const who = user()
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'nodetls-pg-'))
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  if (who.uid !== undefined) fs.chownSync(directory, who.uid, who.gid)
  const data = path.join(directory, 'data')
  const made = spawnSync(path.join(programs, 'initdb'), ['-D', data, '-U', 'tester', '--auth=trust', '--no-sync'], { ...who, cwd: directory, encoding: 'utf8', env: { LC_ALL: 'C' } })
  assert.equal(made.status, 0, made.stderr)
  const { cert, key } = certificate()
  for (const [name, contents] of [['server.crt', cert], ['server.key', key]]) {
    fs.writeFileSync(path.join(data, name), contents, { mode: 0o600 })
    if (who.uid !== undefined) fs.chownSync(path.join(data, name), who.uid, who.gid)
  }
  fs.writeFileSync(path.join(data, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 trust\n')
  const port = await freePort()
  await daemon(t, path.join(programs, 'postgres'), ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', directory, '-c', 'ssl=on', '-c', 'fsync=off'], port, { ...who, cwd: directory })
  return port
}

limited('pg speaks with PostgreSQL, sslmode verify-full', { skip: programs ? false : 'postgresql is missing' }, async (t) => {
  const port = await start(t)
  const rows = await program(async ({ port, ca }) => {
    const { Client } = require('pg')
    const connect = async (ssl) => {
      const client = new Client({ host: 'localhost', port, user: 'tester', database: 'postgres', ssl })
      // The server may still be starting.
      await client.connect()
      const { rows } = await client.query('select ssl, version, repeat($1, 100000) as much from pg_stat_ssl where pid = pg_backend_pid()', ['x'])
      await client.end()
      return [rows[0].ssl, rows[0].version, rows[0].much.length]
    }
    const refusal = await connect({ rejectUnauthorized: true }).catch(({ code }) => code)
    return [await connect({ ca, rejectUnauthorized: true }), refusal]
  }, { port })
  assert.deepEqual(rows, [[true, 'TLSv1.3', 100000], 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'])
})
