import { BlockList, isIPv6 } from 'node:net'

/**
 * True for a URL that means the machine that asks, or its cloud's metadata service: loopback, link-local and
 * unspecified addresses, and `localhost`. Where an answer from elsewhere points there, somebody wants to use us to
 * get at what only we can reach. Names that resolve to such addresses are not seen through.
 */
export function isInternal({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  if (host === 'localhost' || host.endsWith('.localhost')) return true
  return INTERNAL.check(host, isIPv6(host) ? 'ipv6' : 'ipv4')
}

const INTERNAL = new BlockList()
INTERNAL.addSubnet('0.0.0.0', 8)
INTERNAL.addSubnet('127.0.0.0', 8)
INTERNAL.addSubnet('169.254.0.0', 16)
INTERNAL.addAddress('::', 'ipv6')
INTERNAL.addAddress('::1', 'ipv6')
INTERNAL.addSubnet('fe80::', 10, 'ipv6')
INTERNAL.addAddress('fd00:ec2::254', 'ipv6')
