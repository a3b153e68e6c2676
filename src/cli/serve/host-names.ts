/** The names and addresses under which other machines may ask for this one. */
import { lookup, lookupService } from 'node:dns/promises'
import { hostname, networkInterfaces } from 'node:os'

/** How many a certificate names; a machine with more has bridges of containers, which come last. */
const MAX_ADDRESSES = 60
const RESOLVER_PATIENCE_MS = 2000

/** The host name, with its domain if the network's resolver knows one, and the name that mDNS would give it. */
export async function hostNames(): Promise<readonly string[]> {
  const name = hostname()
  const full = await Promise.race([fullName(name), patience()])
  const isShort = !name.includes('.')
  const all = [
    name,
    ...(full === undefined ? [] : [full]),
    ...(isShort ? [`${name}.local`] : []),
    'localhost',
  ]
  return all.filter(candidate => /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(candidate))
}

/** Of every interface that is up, without link-local ones; IPv4 first. */
export function hostAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
  const isGlobal = ({ family, address }: { family: string; address: string }): boolean =>
    family === 'IPv4' || !address.toLowerCase().startsWith('fe80:')
  const own = all.filter(address => !address.internal && isGlobal(address))
  const ipv4 = own.filter(({ family }) => family === 'IPv4')
  const ipv6 = own.filter(({ family }) => family !== 'IPv4')
  const addresses = [...ipv4, ...ipv6].map(({ address }) => address).slice(0, MAX_ADDRESSES)
  return [...addresses, '127.0.0.1', '::1']
}

/** What the resolver calls the address of our name, when that is our name and a domain. */
async function fullName(name: string): Promise<string | undefined> {
  try {
    const { address } = await lookup(name)
    const { hostname: found } = await lookupService(address, 0)
    return found.startsWith(`${name}.`) ? found : undefined
  } catch (error) {
    // No resolver, no entry: then there is no longer name.
    if (error instanceof Error && 'syscall' in error) return undefined
    throw error
  }
}

async function patience(): Promise<undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  setTimeout(() => resolve(undefined), RESOLVER_PATIENCE_MS).unref()
  return promise
}
