import { type Handlers, jsonAnswer } from '../exchange.ts'

/** end-1: here is a registry, and this client may go on. */
export function pingHandlers(): Handlers {
  const ping = async () => jsonAnswer({})
  return { GET: ping, HEAD: ping }
}
