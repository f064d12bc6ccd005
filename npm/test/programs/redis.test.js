'use strict'

const { assert, ca, certificate, daemon, freePort, limited, missing, program } = require('./world')

limited('ioredis speaks with Redis, with a certificate of its own', { skip: missing('redis-server') }, async (t) => {
  const [port, server, client] = [await freePort(), certificate(), certificate({ cn: 'client', client: true })]
  await daemon(t, 'redis-server', ['--port', '0', '--tls-port', String(port), '--bind', '127.0.0.1', '--save', '', '--tls-cert-file', server.certFile,
    '--tls-key-file', server.keyFile, '--tls-ca-cert-file', ca().certFile, '--tls-auth-clients', 'yes'], port)
  const result = await program(async ({ port, ca, cert, key }) => {
    const Redis = require('ioredis')
    const redis = new (Redis.Redis ?? Redis)({ host: 'localhost', port, tls: { ca, cert, key } })
    await redis.set('key', 'v'.repeat(200000))
    const pipeline = redis.pipeline()
    for (let index = 0; index < 500; index++) pipeline.incr('count')
    await pipeline.exec()
    const result = [(await redis.get('key')).length, await redis.get('count')]
    await redis.quit()
    return result
  }, { port, cert: String(client.cert), key: String(client.key) })
  assert.deepEqual(result, [200000, '500'])
})
