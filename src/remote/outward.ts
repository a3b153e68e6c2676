import type { ClientRequest } from 'node:http'
import type { Socket } from 'node:net'
import { RemoteError } from './errors.ts'
import { isInternalAddress } from './internal-address.ts'

/**
 * Ends a request before it connects to an address of this machine or of its metadata service, whatever name stands for
 * it: what counts is the address that is connected to, so a name that means another one a moment later gains nothing.
 */
export function refuseInternalAddresses(outgoing: ClientRequest, url: URL): void {
  outgoing.once('socket', (socket: Socket) => {
    const refuse = (address: string | undefined): void => {
      if (address !== undefined && isInternalAddress(address)) outgoing.destroy(refused(url, address))
    }
    if (!socket.connecting) return refuse(socket.remoteAddress)
    socket.on('lookup', (_error, address) => refuse(address))
    // An address that stands in the URL is not looked up.
    socket.once('connect', () => refuse(socket.remoteAddress))
  })
}

function refused(url: URL, address: string): RemoteError {
  return new RemoteError(
    'response-invalid',
    `Cannot go to ${url.host}: somebody else's answer points there, and it is ${address}, an address of this machine or its network alone`,
  )
}
