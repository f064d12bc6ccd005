'use strict'

const { assert, certificate, limited, program } = require('./world')

const identity = () => {
  const { cert, key } = certificate()
  return { cert: String(cert), key: String(key) }
}

limited('ws speaks over wss, on both sides', {}, async () => {
  const result = await program(async ({ cert, key, ca }) => {
    const https = require('https')
    const { WebSocket, WebSocketServer } = require('ws')
    const server = https.createServer({ cert, key })
    const sockets = new WebSocketServer({ server })
    sockets.on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })))
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const client = new WebSocket(`wss://localhost:${server.address().port}/`, { ca })
    await new Promise((resolve, reject) => client.on('open', resolve).on('error', reject))
    const back = []
    for (const message of ['text', Buffer.alloc(300000, 7)]) {
      client.send(message)
      back.push(await new Promise((resolve) => client.once('message', (data) => resolve(data.length))))
    }
    client.close()
    await new Promise((resolve) => client.on('close', resolve))
    server.close()
    return back
  }, identity())
  assert.deepEqual(result, [4, 300000])
})

limited('mqtt and aedes speak over mqtts', {}, async () => {
  const result = await program(async ({ cert, key, ca }) => {
    const { Aedes } = require('aedes')
    const mqtt = require('mqtt')
    const tls = require('tls')
    const broker = await Aedes.createBroker()
    const server = tls.createServer({ cert, key }, broker.handle)
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const client = await mqtt.connectAsync(`mqtts://localhost:${server.address().port}`, { ca })
    const arrived = new Promise((resolve) => client.on('message', (topic, payload) => resolve([topic, String(payload)])))
    await client.subscribeAsync('a/b', { qos: 1 })
    await client.publishAsync('a/b', 'hello', { qos: 1 })
    const message = await arrived
    await client.endAsync()
    await new Promise((resolve) => broker.close(resolve))
    server.close()
    return message
  }, identity())
  assert.deepEqual(result, ['a/b', 'hello'])
})

limited('grpc-js speaks by its own credentials', {}, async () => {
  const result = await program(async ({ cert, key, ca }) => {
    const grpc = require('@grpc/grpc-js')
    const method = {
      path: '/echo.Echo/Echo',
      requestStream: false,
      responseStream: false,
      requestSerialize: (value) => Buffer.from(value),
      requestDeserialize: String,
      responseSerialize: (value) => Buffer.from(value),
      responseDeserialize: String
    }
    const server = new grpc.Server()
    server.addService({ Echo: method }, { Echo: (call, done) => done(null, `${call.request}, ${call.request}`) })
    const credentials = grpc.ServerCredentials.createSsl(null, [{ cert_chain: Buffer.from(cert), private_key: Buffer.from(key) }])
    const port = await new Promise((resolve, reject) => server.bindAsync('127.0.0.1:0', credentials, (error, bound) => error ? reject(error) : resolve(bound)))
    const Client = grpc.makeGenericClientConstructor({ Echo: method }, 'Echo')
    const client = new Client(`localhost:${port}`, grpc.credentials.createSsl(Buffer.from(ca)))
    const answer = await new Promise((resolve, reject) => client.Echo('echo', (error, value) => error ? reject(error) : resolve(value)))
    client.close()
    await new Promise((resolve) => server.tryShutdown(resolve))
    return answer
  }, identity())
  assert.equal(result, 'echo, echo')
})
