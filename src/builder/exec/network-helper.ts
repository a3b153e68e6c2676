/**
 * Programs that connect a network namespace to the network of this machine without touching that: they speak TCP/IP
 * with the namespace on one side, and use sockets as any program does on the other. None of them lets the namespace
 * reach the loopback interface of the machine, where what has no password listens.
 */
import { accessSync, constants } from 'node:fs'
import { isErrno } from '../../oci/errors.ts'
import type { Subnet } from './subnet.ts'

export interface NetworkHelper {
  readonly name: 'pasta' | 'slirp4netns'
  /** Absolute path. */
  readonly program: string
}

export interface HelperSearch {
  /** Path of a program, where there is one. */
  find(name: string): string | undefined
  /** Of no user namespace: what we start has all of its power. */
  readonly isRealRoot: boolean
  readonly tunDevice: string
}

/**
 * Those that can be tried here, the best first; or why there is none, as one tells a user.
 *
 * `slirp4netns` keeps no capability of root but that of small ports, and so goes first where root is root; `pasta` is
 * faster and knows IPv6.
 */
export function findNetworkHelpers({
  find,
  isRealRoot,
  tunDevice,
}: HelperSearch): readonly NetworkHelper[] | string {
  const names = isRealRoot ? (['slirp4netns', 'pasta'] as const) : (['pasta', 'slirp4netns'] as const)
  const found = names.flatMap(name => {
    const program = find(name)
    return program === undefined ? [] : [{ name, program }]
  })
  if (found.length === 0)
    return `neither slirp4netns nor pasta is installed (apt-get install ${isRealRoot ? 'slirp4netns' : 'passt'})`
  const problem = tunProblem(tunDevice)
  return problem ?? found
}

function tunProblem(device: string): string | undefined {
  try {
    accessSync(device, constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return `there is no ${device}`
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS')) return `${device} may not be used by this user`
    throw error
  }
}

export interface HelperCall {
  readonly subnet: Subnet
  /** Path of the network namespace. */
  readonly namespace: string
  /** Of a file that is written when all is set up; `readyDescriptor` is the same, open. */
  readonly ready: string
  readonly readyDescriptor: number
  /** Whether its `subnet.resolver` answers with what the resolver of this machine says. */
  readonly forwardsNames: boolean
  readonly isRealRoot: boolean
}

/** Of the interface in the namespace: as large as the programs take it, as no wire is between them. */
const MTU = '65520'

export function helperArguments({ name }: NetworkHelper, call: HelperCall): readonly string[] {
  const { subnet, namespace, ready, readyDescriptor, forwardsNames, isRealRoot } = call
  if (name === 'slirp4netns')
    return [
      '--configure',
      `--mtu=${MTU}`,
      '--disable-host-loopback',
      '--enable-sandbox',
      '--enable-seccomp',
      ...(forwardsNames ? [] : ['--disable-dns']),
      `--cidr=${subnet.network}/24`,
      `--ready-fd=${readyDescriptor}`,
      '--netns-type=path',
      namespace,
      'tap0',
    ]
  return [
    '--config-net',
    '--foreground',
    '--quiet',
    ...['-t', 'none', '-u', 'none', '-T', 'none', '-U', 'none'],
    '--no-map-gw',
    ...['--address', subnet.address, '--netmask', '24', '--gateway', subnet.gateway],
    ...(forwardsNames ? ['--dns-forward', subnet.resolver] : []),
    // Told to be another user, it could not enter a namespace that is root's.
    ...(isRealRoot ? ['--runas', '0:0'] : []),
    ...['--pid', ready],
    ...['--netns', namespace],
  ]
}
