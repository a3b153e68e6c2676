import { BlockList, isIP, isIPv6 } from 'node:net'

/**
 * True for a URL that means the machine that asks, or its cloud's metadata service: loopback, link-local and
 * unspecified addresses, and `localhost`. Where an answer from elsewhere points there, somebody wants to use us to
 * get at what only we can reach. Names that resolve to such addresses are seen through when they are connected to
 * (`outward.ts`).
 */
export function isInternal({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  return host === 'localhost' || host.endsWith('.localhost') || isInternalAddress(host)
}

/** The same of an address; false for what is none. */
export function isInternalAddress(address: string): boolean {
  const [host = ''] = address.split('%')
  if (isIP(host) === 0) return false
  made.internal ??= internalNetworks()
  return made.internal.check(host, isIPv6(host) ? 'ipv6' : 'ipv4')
}

/** Of IPv4, with what follows the `/`. Addresses that stand alone are of metadata services. */
const NETWORKS: readonly (readonly [address: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
]
const NETWORKS_6: readonly (readonly [address: string, prefix: number])[] = [
  ['::', 128],
  ['::1', 128],
  ['fe80::', 10],
  ['fd00:ec2::254', 128],
  ['fd20:ce::254', 128],
]

/** Made with the first question: most commands have none. */
const made: { internal?: BlockList } = {}

function internalNetworks(): BlockList {
  const list = new BlockList()
  for (const [address, prefix] of NETWORKS) {
    // Node reads `::ffff:127.0.0.1` as the IPv4 address; the forms of translators and of long ago are their own networks.
    const [high, low] = hexPairs(address)
    list.addSubnet(address, prefix)
    list.addSubnet(`::${high}:${low}`, 96 + prefix, 'ipv6')
    list.addSubnet(`64:ff9b::${high}:${low}`, 96 + prefix, 'ipv6')
    list.addSubnet(`2002:${high}:${low}::`, 16 + prefix, 'ipv6')
  }
  for (const [address, prefix] of NETWORKS_6) list.addSubnet(address, prefix, 'ipv6')
  return list
}

function hexPairs(address: string): readonly [string, string] {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number)
  return [(a * 256 + b).toString(16), (c * 256 + d).toString(16)]
}
