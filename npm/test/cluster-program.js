'use strict'

// The program of cluster.test.js: a primary and two workers that share a port; each connection goes to another worker.

const cluster = require('node:cluster')
const nodetls = require('..')

if (cluster.isPrimary) {
  cluster.schedulingPolicy = cluster.SCHED_RR
  let listening = 0
  for (let count = 0; count < 2; count++) {
    cluster.fork().on('message', ({ port }) => {
      if (++listening === 2) process.send({ port })
    })
  }
  process.on('disconnect', () => cluster.disconnect())
} else {
  const [cert, key] = [process.env.TEST_CERT, process.env.TEST_KEY]
  const server = nodetls.createServer({ cert, key }, (socket) => socket.end(`${process.pid} ${socket.isSessionReused()}`))
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
}
