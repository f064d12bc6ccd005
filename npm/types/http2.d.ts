export * from 'node:http2'
