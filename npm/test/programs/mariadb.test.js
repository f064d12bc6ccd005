'use strict'

// mysql2 goes over to TLS in the middle of a conversation, on the socket that it has been speaking on.

const { spawnSync } = require('node:child_process')
const os = require('node:os')
const { after } = require('node:test')
const { alike, assert, ca, certificate, daemon, freePort, fs, limited, missing, path } = require('./world')

// Debian keeps it where not everybody's PATH leads.
const MARIADBD = '/usr/sbin/mariadbd'
const skip = missing(MARIADBD) || missing('mariadb-install-db') || missing('my_print_defaults')

const INIT = `
create database test;
create user 'tester'@'%' identified by 'password' require ssl;
grant all on test.* to 'tester'@'%';
create user 'certified'@'%' require x509;
create user 'named'@'%' require subject '/CN=client';
create user 'other'@'%' require subject '/CN=other';
`

/** The server, one for all tests of this file. */
let running
const ends = []
after(async () => { for (const end of ends) await end() })

function server () {
  return (running ??= start({ after: (end) => ends.push(end) }))
}

async function start (t) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'nodetls-mariadb-'))
  const [data, init, pid, socketPath] = ['data', 'init.sql', 'pid', 'socket'].map((name) => path.join(directory, name))
  // The server does not run for root who does not say so.
  const words = ['--no-defaults', `--datadir=${data}`, '--innodb-log-file-size=8M', '--skip-name-resolve', ...process.getuid() === 0 ? ['--user=root'] : []]
  const made = spawnSync('mariadb-install-db', [...words, '--skip-test-db'], { encoding: 'utf8' })
  assert.equal(made.status, 0, made.stderr + made.stdout)
  fs.writeFileSync(init, INIT)
  const { certFile, keyFile } = certificate({ san: 'DNS:localhost' })
  const port = await freePort()
  await daemon(t, MARIADBD, [...words, `--port=${port}`, '--bind-address=127.0.0.1', `--socket=${socketPath}`, `--pid-file=${pid}`, `--init-file=${init}`,
    `--ssl-cert=${certFile}`, `--ssl-key=${keyFile}`, `--ssl-ca=${ca().certFile}`, '--max-allowed-packet=64M', '--local-infile'], port, { signal: 'SIGTERM' })
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }))
  return { port, socketPath }
}

/** What programs are told: where the server is, and whom to be. */
async function facts (more = {}) {
  const { port, socketPath } = await server()
  return { base: { host: 'localhost', port, user: 'tester', password: 'password', database: 'test' }, socketPath, ...more }
}

limited('mysql2 speaks with MariaDB over every kind of connection, verified', { skip }, async () => {
  const result = await alike(async ({ base, socketPath, ca }) => {
    const net = require('net')
    const { Duplex } = require('stream')
    const { TLSSocket } = require('tls')
    const mysql = require('mysql2/promise')
    /** What both sides say of a connection. */
    const facts = async (options) => {
      const connection = await mysql.createConnection({ ...base, ...options })
      const { stream } = connection.connection
      const [rows] = await connection.query("show session status where variable_name in ('Ssl_version', 'Ssl_cipher')")
      await connection.end()
      const { Ssl_version: version, Ssl_cipher: cipher } = Object.fromEntries(rows.map((row) => [row.Variable_name, row.Value]))
      const agree = version === stream.getProtocol() && cipher === stream.getCipher().name
      return [version, agree, stream instanceof TLSSocket, stream.authorized, stream.authorizationError]
    }
    /** A stream that is no socket, as that of a tunnel. */
    const tunnel = () => {
      const socket = net.connect(base.port, '127.0.0.1')
      const stream = new Duplex({
        read () { socket.resume() },
        write (chunk, encoding, done) { socket.write(chunk, done) },
        final (done) { socket.end(done) },
        destroy (error, done) { socket.destroy(); done(error) }
      })
      socket.on('data', (chunk) => { if (!stream.push(chunk)) socket.pause() }).on('end', () => stream.push(null)).on('close', () => stream.destroy())
      return stream
    }
    const ssl = { ca, rejectUnauthorized: true, verifyIdentity: true }
    return {
      byName: await facts({ ssl }),
      // Node.js's own takes an address for `localhost` where the connection is made over a socket.
      byAddress: await facts({ ssl, host: '127.0.0.1' }),
      overUnix: await facts({ ssl, socketPath }),
      throughTunnel: await facts({ ssl, stream: tunnel }),
      compressed: await facts({ ssl, compress: true }),
      older: await facts({ ssl: { ...ssl, maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' } }),
      unverified: await facts({ ssl: { rejectUnauthorized: false } })
    }
  }, await facts())
  const verified = ['TLSv1.3', true, true, true, null]
  assert.deepEqual(result, {
    byName: verified,
    byAddress: verified,
    overUnix: verified,
    throughTunnel: verified,
    compressed: verified,
    older: ['TLSv1.2', ...verified.slice(1)],
    unverified: ['TLSv1.3', true, true, false, 'SELF_SIGNED_CERT_IN_CHAIN']
  })
})

limited('mysql2 refuses whom it does not trust, and tells of it once', { skip }, async () => {
  const result = await alike(async ({ base, ca, wrong }) => {
    const net = require('net')
    const mysql = require('mysql2')
    const unheard = []
    process.on('uncaughtException', ({ code }) => unheard.push(code))
    /** What the query and the connection hear, and what the socket knows. */
    const refusal = async (options) => {
      const connection = mysql.createConnection({ ...base, ...options })
      const error = await new Promise((resolve) => connection.query('select 1', resolve))
      const { stream } = connection
      if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve))
      // It puts its own code in the place of the socket's.
      return [error?.code, error?.fatal ?? null, stream.authorizationError ?? null]
    }
    const ssl = { ca, rejectUnauthorized: true, verifyIdentity: true }
    return {
      unknown: await refusal({ ssl: {} }),
      wrong: await refusal({ ssl: { ...ssl, ca: wrong } }),
      otherName: await refusal({ ssl, host: 'other.example.test', stream: () => net.connect(base.port, '127.0.0.1') }),
      tooOld: await refusal({ ssl: { ...ssl, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' } }),
      noCipher: await refusal({ ssl: { ...ssl, maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-CHACHA20-POLY1305' } }),
      badPassword: await refusal({ ssl, password: 'wrong' }),
      plain: await refusal({ ssl: false }),
      unheard
    }
  }, await facts({ wrong: String(ca({ cn: 'wrong' }).cert) }))
  assert.deepEqual(result, {
    unknown: ['HANDSHAKE_SSL_ERROR', true, 'SELF_SIGNED_CERT_IN_CHAIN'],
    wrong: ['HANDSHAKE_SSL_ERROR', true, 'SELF_SIGNED_CERT_IN_CHAIN'],
    otherName: ['HANDSHAKE_SSL_ERROR', true, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    tooOld: ['HANDSHAKE_SSL_ERROR', true, null],
    noCipher: ['HANDSHAKE_SSL_ERROR', true, null],
    badPassword: ['ER_ACCESS_DENIED_ERROR', null, null],
    plain: ['ER_ACCESS_DENIED_ERROR', null, null],
    unheard: []
  })
})

limited('mysql2 shows MariaDB a certificate', { skip }, async () => {
  const { cert, key } = certificate({ cn: 'client', client: true })
  const result = await alike(async ({ base, ca, cert, key }) => {
    const mysql = require('mysql2/promise')
    const attempt = async (user, identity) => {
      try {
        const connection = await mysql.createConnection({ ...base, user, password: '', database: undefined, ssl: { ca, ...identity, verifyIdentity: true } })
        const [[{ name }]] = await connection.query('select user() as name')
        await connection.end()
        return name.split('@')[0]
      } catch ({ code }) {
        return code
      }
    }
    const identity = { cert, key }
    return [await attempt('certified', identity), await attempt('named', identity), await attempt('other', identity), await attempt('certified')]
  }, await facts({ cert: String(cert), key: String(key) }))
  assert.deepEqual(result, ['certified', 'named', 'ER_ACCESS_DENIED_ERROR', 'ER_ACCESS_DENIED_ERROR'])
})

limited('mysql2 sends and receives many megabytes', { skip }, async () => {
  const result = await alike(async ({ base, ca }) => {
    const { createHash } = require('crypto')
    const { Readable } = require('stream')
    const mysql = require('mysql2/promise')
    const connection = await mysql.createConnection({ ...base, ssl: { ca, verifyIdentity: true } })
    const bytes = createHash('shake256', { outputLength: 12 * 1024 * 1024 }).update('bytes').digest()
    await connection.query('create temporary table large (id int, body longblob)')
    // One packet of the statement's own, and one in the text of a query.
    for (const [id, send] of ['execute', 'query'].entries()) await connection[send]('insert into large values (?, ?)', [id, bytes])
    const [large] = await connection.execute('select sha2(body, 256) as digest, body from large order by id')
    const digest = createHash('sha256').update(bytes).digest('hex')

    // It pauses the socket whenever the reader is behind.
    let sum = 0
    for await (const row of connection.connection.query("select seq, repeat('x', 300) as filling from seq_1_to_30000").stream({ highWaterMark: 5 })) {
      sum += row.seq * row.filling.length
      if (row.seq % 1000 === 0) await new Promise(setImmediate)
    }

    await connection.query('create temporary table loaded (line text)')
    const lines = Array(3000).fill(Buffer.from(`${'x'.repeat(2000)}\n`))
    const [loaded] = await connection.query({ sql: "load data local infile 'lines' into table loaded", infileStreamFactory: () => Readable.from(lines) })
    await connection.end()
    return [large.map((row) => row.digest === digest && row.body.equals(bytes)), sum, loaded.affectedRows]
  }, await facts())
  assert.deepEqual(result, [[true, true], 300 * 30000 * 30001 / 2, 3000])
})

limited('a pool of mysql2 shares its sessions between its connections', { skip }, async () => {
  const result = await alike(async ({ base, ca }) => {
    const mysql = require('mysql2')
    const sessions = {}
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
      const pool = mysql.createPool({ ...base, ssl: { ca, verifyIdentity: true, maxVersion }, connectionLimit: 4 })
      const reused = []
      pool.on('connection', ({ stream }) => reused.push(stream.isSessionReused()))
      const query = (number) => new Promise((resolve, reject) => {
        pool.query('select ? as number, connection_id() as id, repeat(?, 100000) as filling', [number, 'x'], (error, rows) => error ? reject(error) : resolve(rows[0]))
      })
      await query(0)
      const rows = await Promise.all(Array.from({ length: 40 }, (_, number) => query(number)))
      await pool.promise().end()
      sessions[maxVersion] = [rows.every(({ number, filling }, index) => number === index && filling.length === 100000), new Set(rows.map(({ id }) => id)).size, reused]
    }
    return sessions
  }, await facts())
  const expected = [true, 4, [false, true, true, true]]
  assert.deepEqual(result, { 'TLSv1.2': expected, 'TLSv1.3': expected })
})

limited('mysql2 is told once that its connection is lost', { skip }, async () => {
  const result = await alike(async ({ base, ca }) => {
    const net = require('net')
    const mysql = require('mysql2')
    const unheard = []
    process.on('uncaughtException', ({ code }) => unheard.push(code))

    /** Loses a connection that waits for its answer: by the server, or by something between the two. */
    const lose = async (lost) => {
      const between = net.createServer((near) => {
        const far = net.connect(base.port, '127.0.0.1')
        near.pipe(far).pipe(near)
        for (const socket of [near, far]) socket.on('error', () => {})
        between.lost = { near, far }
      })
      await new Promise((resolve) => between.listen(0, '127.0.0.1', resolve))
      const connection = mysql.createConnection({ ...base, port: between.address().port, ssl: { ca, verifyIdentity: true } })
      const told = []
      for (const event of ['error', 'end']) connection.on(event, () => told.push(event))
      const below = connection.stream
      for (const event of ['error', 'end', 'close']) below.on(event, () => told.push(`below: ${event}`))
      await new Promise((resolve, reject) => connection.query('select 1', (error) => error ? reject(error) : resolve()))
      const asked = new Promise((resolve) => connection.query('select sleep(20)', ({ code }) => resolve(code)))
      const closed = new Promise((resolve) => connection.stream.on('close', resolve))
      await lost(connection, between.lost)
      told.unshift(await asked)
      await closed
      between.lost.far.destroy()
      between.close()
      return told
    }
    const kill = async ({ threadId }) => {
      const killer = mysql.createConnection({ ...base, ssl: { ca } })
      await killer.promise().query('kill ?', [threadId])
      killer.destroy()
    }
    return {
      killed: await lose(kill),
      ended: await lose((_, { near }) => near.end()),
      reset: await lose((_, { near }) => near.resetAndDestroy()),
      unheard
    }
  }, await facts())
  const lost = ['PROTOCOL_CONNECTION_LOST', 'below: close']
  assert.deepEqual(result, { killed: lost, ended: lost, reset: ['ECONNRESET', 'below: close'], unheard: [] })
})
