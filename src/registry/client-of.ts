import type { FastifyRequest } from 'fastify'
import type { ClientInfo } from './access.ts'

export function clientOf({ raw }: FastifyRequest): ClientInfo {
  const { headers, socket } = raw
  return { headers, address: socket.remoteAddress ?? '', isEncrypted: 'encrypted' in socket }
}
