import type { Server } from '@grpc/grpc-js'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation } from 'grpc-health-check'

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0]

/** What orchestrators and grpcurl ask a server besides xDS. */
export interface HealthServices {
  addTo(server: Server): void
  /** `grpc.health.v1`, for the server as a whole: there is something to serve. */
  serve(): void
  /** It is to be asked no more, whatever there is to serve. */
  drain(): void
}

/**
 * gRPC health checking, and server reflection over the services in `files`.
 * @param files encoded `FileDescriptorProto`s, their imports included
 */
export function createHealthServices(files: readonly Uint8Array[]): HealthServices {
  const health = new HealthImplementation({ '': 'NOT_SERVING' })
  // Reflection takes the files from whatever message of a package has them; service definitions have none.
  const fileDescriptorProtos = files.map((bytes) => Buffer.from(bytes))
  const anyMessage = { format: 'Protocol Buffer 3 DescriptorProto', type: {}, fileDescriptorProtos }
  const reflection = new ReflectionService({ anyMessage } as unknown as PackageDefinition)
  let isDraining = false
  return {
    addTo(server) {
      health.addToServer(server)
      reflection.addToServer(server)
    },
    serve() {
      if (!isDraining) health.setStatus('', 'SERVING')
    },
    drain() {
      isDraining = true
      health.setStatus('', 'NOT_SERVING')
    },
  }
}
