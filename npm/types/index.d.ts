// The types of `node:tls`, and what this package has beyond it.

/// <reference types="node" />

import { KeyObject, X509Certificate } from 'node:crypto'
import * as net from 'node:net'
import * as tls from 'node:tls'

export * from 'node:tls'

/** What a client has said first (RFC 8446 §4.1.2), before anything was decided. */
export interface ClientHello {
  readonly servername: string | null
  readonly alpnProtocols: Buffer[]
  /** Numbers of the registries, the preferred one first. */
  readonly versions: number[]
  readonly cipherSuites: number[]
  readonly groups: number[]
  readonly signatureAlgorithms: number[]
  /** The whole message. */
  readonly raw: Buffer
  readonly ja3: string
  readonly ja3Hash: string | null
  readonly ja4: string
}

/** A signature that is needed from a private key that is elsewhere. */
export interface SignRequest {
  /** The certificate whose key has to sign, in DER. */
  readonly certificate: Buffer
  /** Such as `ecdsa_secp256r1_sha256`. */
  readonly scheme: string
  /** What the message is hashed with before it is signed; null for Ed25519 and Ed448. */
  readonly hash: string | null
  readonly message: Buffer
}

type Awaitable<T> = T | PromiseLike<T>

/** PEM or DER. */
type Bytes = string | NodeJS.ArrayBufferView
type OneOrMany<T> = T | T[]

/** Credentials in the forms that this package takes besides those of Node.js. */
interface Credentials {
  key?: OneOrMany<Bytes | KeyObject> | (Bytes | KeyObject | { pem: Bytes | KeyObject; passphrase?: string | undefined })[] | undefined
  cert?: OneOrMany<Bytes | X509Certificate> | undefined
  ca?: OneOrMany<Bytes | X509Certificate> | undefined
  crl?: OneOrMany<Bytes> | undefined
  pfx?: OneOrMany<Bytes | { buf: Bytes; passphrase?: string | undefined }> | undefined
  /** The keys that `key` lacks are elsewhere; signatures are asked for by `sign`. */
  externalKey?: boolean | undefined
}

export interface SecureContextOptions extends Omit<tls.SecureContextOptions, keyof Credentials>, Credentials {}

interface Beyond {
  /** The end of the stream without a goodbye (`close_notify`) is an error. Default: false, as in Node.js. */
  rejectTruncated?: boolean | undefined
  /** Signs for the certificate whose key is elsewhere. */
  sign?(request: SignRequest): Awaitable<NodeJS.ArrayBufferView>
}

export interface TlsOptions extends Omit<tls.TlsOptions, 'pskCallback' | 'SNICallback' | 'ALPNCallback' | keyof Credentials>, Credentials, Beyond {
  /** Looks at a client before anything is decided; `false` refuses it. */
  onClientHello?(hello: ClientHello): Awaitable<boolean | void>
  /** May return a promise, and then needs no callback. */
  SNICallback?(servername: string, callback: (error: Error | null, context?: tls.SecureContext) => void): Awaitable<tls.SecureContext | null | undefined | void>
  /** May return a promise. */
  ALPNCallback?(offer: { servername: string; protocols: string[] }): Awaitable<string | undefined>
  /** As the event of that name, answered by what it returns. */
  resumeSession?(sessionId: Buffer): Awaitable<Buffer | null | undefined>
  newSession?(sessionId: Buffer, session: Buffer): Awaitable<void>
  OCSPRequest?(certificate: Buffer, issuer: Buffer | null): Awaitable<Buffer | null | undefined>
  /** May return a promise. */
  pskCallback?(socket: tls.TLSSocket, identity: string): Awaitable<NodeJS.ArrayBufferView | null>
}

/** Options of `socket.connect()` and `new net.Socket()`, which are passed on. */
interface Transport extends Omit<Partial<net.TcpNetConnectOpts>, keyof tls.ConnectionOptions> {
  highWaterMark?: number | undefined
}

export interface ConnectionOptions extends Omit<tls.ConnectionOptions, 'pskCallback' | 'checkServerIdentity' | keyof Credentials>, Credentials, Transport, Beyond {
  /** May return a promise. */
  pskCallback?(hint: string | null): Awaitable<tls.PSKCallbackNegotation | null>
  /** May return a promise. */
  checkServerIdentity?(host: string, cert: tls.PeerCertificate): Awaitable<Error | undefined>
}

export interface TLSSocket extends tls.TLSSocket {
  /** Resolves when the connection is secure, and rejects when it never will be. */
  ready(): Promise<this>
}

export const TLSSocket: typeof tls.TLSSocket

export interface Server extends tls.Server, AsyncIterable<TLSSocket> {
  addContext(hostname: string, context: tls.SecureContext | SecureContextOptions): void
  setSecureContext(options: SecureContextOptions): void
}
export const Server: typeof tls.Server

export function connect(options: ConnectionOptions, secureConnectListener?: () => void): TLSSocket
export function connect(port: number, host?: string, options?: ConnectionOptions, secureConnectListener?: () => void): TLSSocket
export function connect(port: number, options?: ConnectionOptions, secureConnectListener?: () => void): TLSSocket
export function connect(path: string, options?: ConnectionOptions, secureConnectListener?: () => void): TLSSocket
export function createServer(secureConnectionListener?: (socket: TLSSocket) => void): Server
export function createServer(options: TlsOptions, secureConnectionListener?: (socket: TLSSocket) => void): Server
export function createSecureContext(options?: SecureContextOptions): tls.SecureContext
