export * from 'node:https'
