import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { isErrno } from '../../oci/errors.ts'
import type { ContainerProcess } from './executor.ts'

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

/** Writes the `resolv.conf` (the machine's own, as containers use its network) and `hosts` of a container. */
export function writeHostFiles(directory: string, process: ContainerProcess): readonly HostFile[] {
  const hosts = [`127.0.0.1\tlocalhost ${process.hostname}`, ...HOSTS, ...process.extraHosts]
  const contents = { '/etc/hosts': `${hosts.join('\n')}\n`, [RESOLV_CONF]: readResolvConf() }
  return Object.entries(contents).map(([path, content]) => {
    const source = `${directory}/${path.slice(path.lastIndexOf('/') + 1)}`
    writeFileSync(source, content)
    // Whatever the umask: processes in the container that are not root read them.
    chmodSync(source, 0o644)
    return { path, source }
  })
}

function readResolvConf(): string {
  try {
    return readFileSync(RESOLV_CONF, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return ''
    throw error
  }
}
