import type { FastifyInstance, RouteHandlerMethod } from 'fastify'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** Answers one method at `url` (GET: HEAD too), and all others with 405 before their body is read. */
export function addRoute(app: FastifyInstance, method: 'GET' | 'POST', url: string, handler: RouteHandlerMethod): void {
  const allowed = method === 'GET' ? ['GET', 'HEAD'] : ['POST']
  app.route({ method, url, handler })
  app.route({
    method: methods.filter((other) => !allowed.includes(other)),
    url,
    onRequest: async (request, reply) =>
      reply
        .code(405)
        .header('allow', allowed.join(', '))
        .send({ message: `${request.method} is not allowed at ${request.url}, only ${method}` }),
    handler: () => undefined,
  })
}
