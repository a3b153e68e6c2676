import { chmodSync, writeFileSync } from 'node:fs'
import { readSystemFile } from '../../linux/system-file.ts'
import type { ContainerProcess } from './executor.ts'
import { resolvConf } from './resolver.ts'

/** Path in the container, and path of the file that is mounted there. */
export interface HostFile {
  readonly path: string
  readonly source: string
}

const RESOLV_CONF = '/etc/resolv.conf'

const HOSTS = [
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::0\tip6-localnet',
  'ff00::0\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
]

/** Stands for the address of this machine in `extraHosts`. */
const HOST_GATEWAY = 'host-gateway'

export interface NetworkOfFiles {
  /** Where the container finds this machine. */
  readonly hostAddress: string
  /** Who answers for the resolver of this machine, where the container cannot reach that. */
  readonly forwarder?: string
}

/** Writes the `resolv.conf` and `hosts` of a container. */
export function writeHostFiles(
  directory: string,
  process: ContainerProcess,
  { hostAddress, forwarder }: NetworkOfFiles,
): readonly HostFile[] {
  const extra = process.extraHosts.map(line =>
    line.startsWith(`${HOST_GATEWAY}\t`) ? hostAddress + line.slice(HOST_GATEWAY.length) : line,
  )
  const hosts = [`127.0.0.1\tlocalhost ${process.hostname}`, ...HOSTS, ...extra]
  const contents = {
    '/etc/hosts': `${hosts.join('\n')}\n`,
    [RESOLV_CONF]: resolvConf(readResolvConf(), process.dns, forwarder),
  }
  return Object.entries(contents).map(([path, content]) => {
    const source = `${directory}/${path.slice(path.lastIndexOf('/') + 1)}`
    writeFileSync(source, content)
    // Whatever the umask: processes in the container that are not root read them.
    chmodSync(source, 0o644)
    return { path, source }
  })
}

/** Of this machine. */
export function readResolvConf(): string {
  return readSystemFile(RESOLV_CONF) ?? ''
}
