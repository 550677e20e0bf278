import type { Server } from '@grpc/grpc-js'
import { ReflectionService } from '@grpc/reflection'
import { HealthImplementation } from 'grpc-health-check'

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0]

/** What orchestrators and grpcurl ask a server besides xDS. */
export interface HealthServices {
  addTo(server: Server): void
  /** `grpc.health.v1`, for the server as a whole: serving once there is something to serve, not while it drains. */
  setServing(isServing: boolean): void
}

/** gRPC health checking and server reflection over the discovery services in `definition`. */
export function createHealthServices(definition: PackageDefinition): HealthServices {
  const health = new HealthImplementation({ '': 'NOT_SERVING' })
  const reflection = new ReflectionService(definition)
  return {
    addTo(server) {
      health.addToServer(server)
      reflection.addToServer(server)
    },
    setServing(isServing) {
      health.setStatus('', isServing ? 'SERVING' : 'NOT_SERVING')
    },
  }
}
