import { isIPv4 } from 'node:net'

/** Addresses of IPv4 in a network namespace of a step. */
export interface Subnet {
  /** Of 24 bits. */
  readonly network: string
  readonly address: string
  readonly gateway: string
  /** Who answers for the resolver of this machine. */
  readonly resolver: string
}

/** The first is what both helpers take by themselves; the others are for machines that live in it. */
const PREFIXES = ['10.0.2', '10.201.43', '172.30.117', '192.168.217'] as const

/** One that has none of the addresses, which steps may want to reach. @param taken of any kind */
export function chooseSubnet(taken: readonly string[]): Subnet {
  const prefix = PREFIXES.find(candidate => !taken.some(address => address.startsWith(`${candidate}.`)))
  const chosen = prefix ?? PREFIXES[0]
  return {
    network: `${chosen}.0`,
    address: `${chosen}.100`,
    gateway: `${chosen}.2`,
    resolver: `${chosen}.3`,
  }
}

/**
 * Where what this machine serves to others can be reached (`host-gateway`): its first address, of IPv4 rather than of
 * IPv6. Undefined for one that is on no network.
 */
export function addressOfMachine(
  interfaces: Readonly<
    Record<string, readonly { readonly address: string; readonly internal: boolean }[] | undefined>
  >,
): string | undefined {
  const addresses = Object.values(interfaces)
    .flatMap(list => list ?? [])
    .filter(({ address, internal }) => !internal && !/^fe80:/i.test(address))
    .map(({ address }) => address)
  return addresses.find(isIPv4) ?? addresses[0]
}
