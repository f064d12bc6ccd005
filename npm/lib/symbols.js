'use strict'

module.exports = {
  kEngine: Symbol('engine'),
  kNative: Symbol('native'),
  kConnectOptions: Symbol('connect-options'),
  kPendingSession: Symbol('pending-session'),
  kIsStapled: Symbol('stapled'),
  kIsStale: Symbol('stale'),
  kIsVerified: Symbol('verified'),
  kIsWanted: Symbol('wanted'),
  kErrorEmitted: Symbol('error-emitted'),
  kStream: Symbol('stream'),
  kConnecting: Symbol('connecting'),
  kRenegotiating: Symbol('renegotiating'),
  kReady: Symbol('ready'),
  kWaiting: Symbol('waiting'),
  kEnding: Symbol('ending'),
  kBeforehand: Symbol('beforehand'),
  kTold: Symbol('told'),
  /** Who takes plaintext instead of the stream: `take(plaintext)` says whether more is wanted. */
  kReader: Symbol('reader')
}
