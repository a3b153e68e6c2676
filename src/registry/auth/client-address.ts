import { BlockList, isIP } from 'node:net'
import type { ClientInfo } from '../access.ts'

/** Tells whose request it is, where proxies stand between. */
export type FindClientAddress = (client: Pick<ClientInfo, 'address' | 'headers'>) => string

/**
 * `X-Forwarded-For` is believed as far as proxies that we trust have written it: from the right, up to the first
 * address that is none of them. What stands left of that, anyone may have written.
 * @param trusted addresses and networks (`10.0.0.0/8`), checked by `isAddressOrNetwork`
 */
export function createFindClientAddress(trusted: readonly string[]): FindClientAddress {
  const proxies = new BlockList()
  for (const text of trusted) {
    const [address = '', bits] = text.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) proxies.addAddress(address, family)
    else proxies.addSubnet(address, Number(bits), family)
  }
  const isProxy = (address: string): boolean => {
    const family = isIP(address)
    return family !== 0 && proxies.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }
  return ({ address, headers }) => {
    const forwarded = [headers['x-forwarded-for'] ?? []].flat().join(',').split(',').slice(-MAX_HOPS)
    let client = plainAddress(address)
    for (const hop of forwarded.reverse()) {
      const next = plainAddress(hop.trim())
      if (!isProxy(client) || isIP(next) === 0) break
      client = next
    }
    return client
  }
}

export function isAddressOrNetwork(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 6 ? 128 : 32))
}

/** Whom to count: one host has many addresses of IPv6, but one network of 64 bits. */
export function countedAddress(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = '', tail = ''] = address.toLowerCase().split('%', 1)[0]?.split('::') ?? []
  const left = head === '' ? [] : head.split(':')
  const right = tail === '' ? [] : tail.split(':')
  const zeros = address.includes('::') ? Math.max(0, 8 - left.length - right.length) : 0
  const groups = [...left, ...new Array<string>(zeros).fill('0'), ...right]
  return `${groups
    .slice(0, 4)
    .map(group => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}

const MAX_HOPS = 32

/** IPv4 as a socket for both kinds shows it, `::ffff:10.0.0.1`; and as some proxies write it, with a port. */
function plainAddress(text: string): string {
  const address =
    /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address
}
