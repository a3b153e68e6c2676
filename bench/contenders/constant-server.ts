/** Fastify with one route, which answers a constant; tells its parent the port. What a server on it can be at best. */
import fastify from 'fastify'

const MANIFEST = JSON.stringify({ schemaVersion: 2, layers: 'x'.repeat(700) })

const app = fastify({ exposeHeadRoutes: false })
app.route({
  method: ['GET', 'HEAD'],
  url: '/v2/*',
  handler: (_request, reply) => {
    reply.header('docker-content-digest', `sha256:${'0'.repeat(64)}`)
    reply.type('application/vnd.oci.image.manifest.v1+json')
    return reply.send(MANIFEST)
  },
})
const address = await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.(Number(new URL(address).port))
process.on('disconnect', () => process.exit())
