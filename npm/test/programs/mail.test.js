'use strict'

const { assert, certificate, limited, program } = require('./world')

limited('nodemailer and smtp-server speak by STARTTLS', {}, async () => {
  const { cert, key } = certificate()
  const result = await program(async ({ cert, key, ca }) => {
    const { SMTPServer } = require('smtp-server')
    const nodemailer = require('nodemailer')
    const received = []
    const server = new SMTPServer({
      key,
      cert,
      authOptional: true,
      onData (stream, session, done) {
        let text = ''
        stream.on('data', (chunk) => { text += chunk }).on('end', () => {
          received.push([session.secure, text.includes('the body'), session.tlsOptions ? session.tlsOptions.name : null])
          done()
        })
      }
    })
    server.on('error', () => {})
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.server.address()
    const send = (tls) => nodemailer.createTransport({ host: 'localhost', port, requireTLS: true, tls })
      .sendMail({ from: 'a@example.test', to: 'b@example.test', subject: 'hello', text: 'the body' })
    const { accepted } = await send({ ca })
    const refusal = await send({}).catch(({ code }) => code)
    await new Promise((resolve) => server.close(resolve))
    return { accepted, refusal, received: received.map(([secure, body]) => [secure, body]) }
  }, { cert: String(cert), key: String(key) })
  assert.deepEqual(result, { accepted: ['b@example.test'], refusal: 'ESOCKET', received: [[true, true]] })
})
