import { type ServerInterceptingCallInterface, type ServerInterceptor, status } from '@grpc/grpc-js'

/** One gRPC call, as little of it as a stream of xDS needs. */
export interface Call {
  /** The client's address and port. */
  readonly peer: string
  /** `/service/method`. */
  readonly path: string
  /** `onTaken` is called when the bytes have left for the socket; never, when the call ends first. */
  write(bytes: Buffer, onTaken: () => void): void
  end(code: status, details: string): void
}

/** Who speaks on a call. */
export interface CallListener {
  receive(bytes: Buffer): void
  /** The client will say nothing more. */
  halfClose(): void
  /** The call is over, whoever ended it. */
  cancel(reason: string): void
}

/** What a client is told of an error that is ours. */
export const internalError = 'internal error; the log of the control plane says more'

/** Answers one call. */
export type CallHandler = (call: Call) => CallListener

type GrpcStatus = Parameters<ServerInterceptingCallInterface['sendStatus']>[0]

/**
 * Gives the calls of some methods to their handlers, message by message. grpc-js would put a Duplex stream between, whose
 * two queues and events cost a push more than the rest of its way to the socket: nothing here needs them, for what is
 * said next is computed when there is room for it.
 */
export function callInterceptor(
  handlers: ReadonlyMap<string, CallHandler>,
  onError: (error: unknown) => void,
): ServerInterceptor {
  return ({ path }, call) => {
    const handler = handlers.get(path)
    // The declared type is the library's class, of which it uses the interface alone.
    return (handler === undefined
      ? call
      : new GrpcCall(path, call, handler, onError)) as unknown as ReturnType<ServerInterceptor>
  }
}

/** Stands where grpc-js expects an interceptor's call, and answers instead of the method's own handler. */
class GrpcCall implements Call {
  readonly path: string
  readonly #call: ServerInterceptingCallInterface
  readonly #handler: CallHandler
  readonly #onError: (error: unknown) => void
  #listener: CallListener | undefined
  #isReading = false
  #isReadDue = false

  constructor(
    path: string,
    call: ServerInterceptingCallInterface,
    handler: CallHandler,
    onError: (error: unknown) => void,
  ) {
    this.path = path
    this.#call = call
    this.#handler = handler
    this.#onError = onError
  }

  // ---- what grpc-js calls

  start(): void {
    this.#call.start({
      onReceiveMetadata: () => {
        this.#guard(() => {
          this.#listener = this.#handler(this)
        })
        this.#read()
      },
      onReceiveMessage: (bytes: Buffer) => {
        // As `#guard`, but for the closure that it would take for every message.
        try {
          this.#listener?.receive(bytes)
        } catch (error) {
          this.#crash(error)
        }
        this.#read()
      },
      onReceiveHalfClose: () => this.#guard(() => this.#listener?.halfClose()),
      onCancel: () => this.#guard(() => this.#listener?.cancel('cancelled')),
    })
  }

  sendStatus(given: GrpcStatus): void {
    this.#call.sendStatus(given)
  }

  /** grpc-js calls from a promise: what is thrown there would end the process. */
  #guard(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#crash(error)
    }
  }

  #crash(error: unknown): void {
    this.#onError(error)
    this.end(status.INTERNAL, internalError)
  }

  /** A waiting message is given within `startRead`: a loop, so that many of them do not nest. */
  #read(): void {
    this.#isReadDue = true
    if (this.#isReading) return
    this.#isReading = true
    while (this.#isReadDue) {
      this.#isReadDue = false
      this.#call.startRead()
    }
    this.#isReading = false
  }

  // ---- what a stream calls

  get peer(): string {
    return this.#call.getPeer()
  }

  write(bytes: Buffer, onTaken: () => void): void {
    this.#call.sendMessage(bytes, onTaken)
  }

  end(code: status, details: string): void {
    this.#call.sendStatus({ code, details, metadata: null })
  }
}
